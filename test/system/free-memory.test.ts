import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freeMemory } from '../../runtime/system/free-memory.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'vexfs-cgroup-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function group(path: string, max: string, current: number, files: number): void {
  mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, path, 'memory.max'), `${max}\n`);
  writeFileSync(join(root, path, 'memory.current'), `${current}\n`);
  writeFileSync(join(root, path, 'memory.stat'), `anon 5\ninactive_file ${files}\nactive_file 0\n`);
}

test('without a control group that limits, it is what the machine has', () => {
  expect(freeMemory(root, '', 1000)).toBe(1000);
  group('a', 'max', 10, 0);
  expect(freeMemory(root, '0::/a\n', 1000)).toBe(1000);
});

test('the narrowest group on the way up decides, and pages of files count as free', () => {
  group('a', '500', 450, 100);
  group('a/b', '400', 100, 0);
  expect(freeMemory(root, '0::/a/b\n', 1000)).toBe(150);
  expect(freeMemory(root, '0::/a/b\n', 100)).toBe(100);
  group('a', '500', 600, 0);
  expect(freeMemory(root, '0::/a/b\n', 1000)).toBe(0);
});

test('here it is something', () => {
  expect(freeMemory()).toBeGreaterThan(0);
});
