import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { type OpenStore, openStore, type StoreProblem } from '../../runtime/storage/store.ts';
import { STORE_FORMAT } from '../../runtime/storage/store-format.ts';

let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'vexfs-store-'));
});
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

function opened(path: string, create = true): OpenStore {
  const store = openStore(path, { create });
  if ('kind' in store) throw new Error(store.message);
  return store;
}

function problem(path: string, create = true): StoreProblem {
  const store = openStore(path, { create });
  if (!('kind' in store)) throw new Error('opened, though it should not be');
  return store;
}

test('a new store is private, recognised again, and keeps its identity', () => {
  const path = join(directory, 'a/b/store');
  const first = opened(path);
  expect(first.created).toBe(true);
  expect(fs.statSync(path).mode & 0o777).toBe(0o700);
  expect(fs.readdirSync(path).sort()).toEqual([
    'checkpoint',
    'format',
    'lock',
    'log',
    'objects',
    'text',
    'vectors',
  ]);
  first.release();
  const second = opened(path, false);
  expect(second.created).toBe(false);
  expect(second.identity).toEqual(first.identity);
  expect(second.identity.bytes).toHaveLength(16);
  second.release();
});

test('a store in use is refused, naming the process; released, it opens', () => {
  const path = join(directory, 'store');
  const first = opened(path);
  expect(problem(path)).toMatchObject({ kind: 'locked', pid: process.pid });
  first.release();
  opened(path).release();
});

test('a lock that is a symbolic link is refused, and what it leads to is not written', () => {
  const path = join(directory, 'store');
  opened(path).release();
  fs.rmSync(join(path, 'lock'));
  fs.symlinkSync(join(directory, 'elsewhere'), join(path, 'lock'));
  expect(problem(path)).toMatchObject({
    kind: 'inaccessible',
    message: expect.stringMatching(/lock is a symbolic link/),
  });
  expect(fs.existsSync(join(directory, 'elsewhere'))).toBe(false);
});

test('a store’s directory that is a symbolic link is refused', () => {
  const path = join(directory, 'store');
  opened(path).release();
  fs.renameSync(join(path, 'objects'), join(directory, 'elsewhere'));
  fs.symlinkSync(join(directory, 'elsewhere'), join(path, 'objects'));
  expect(problem(path)).toMatchObject({
    kind: 'inaccessible',
    message: expect.stringMatching(/objects is a symbolic link/),
  });
});

test('an upgrade writes to no file that a link leads to', () => {
  const path = join(directory, 'store');
  const first = opened(path);
  first.release();
  const { uuid, created } = first.identity;
  fs.writeFileSync(join(path, 'format'), `${JSON.stringify({ format: 1, uuid, created })}\n`);
  fs.writeFileSync(join(directory, 'elsewhere'), 'theirs');
  fs.symlinkSync(join(directory, 'elsewhere'), join(path, 'format.tmp'));
  expect(opened(path).upgradedFrom).toBe(1);
  expect(fs.readFileSync(join(directory, 'elsewhere'), 'utf8')).toBe('theirs');
});

test('what is missing, empty, foreign, newer or damaged is named and left alone', () => {
  expect(problem(join(directory, 'none'), false).kind).toBe('missing');
  fs.mkdirSync(join(directory, 'empty'));
  expect(problem(join(directory, 'empty'), false).kind).toBe('not-a-store');
  fs.writeFileSync(join(directory, 'file'), 'x');
  expect(problem(join(directory, 'file')).kind).toBe('inaccessible');
  fs.mkdirSync(join(directory, 'home/Documents'), { recursive: true });
  expect(problem(join(directory, 'home'))).toMatchObject({ kind: 'not-a-store' });
  expect(fs.readdirSync(join(directory, 'home'))).toEqual(['Documents']);

  const path = join(directory, 'store');
  opened(path).release();
  const good = fs.readFileSync(join(path, 'format'), 'utf8');
  fs.writeFileSync(
    join(path, 'format'),
    good.replace(`"format":${STORE_FORMAT}`, `"format":${STORE_FORMAT + 1}`),
  );
  expect(problem(path)).toMatchObject({
    kind: 'newer-format',
    message: `${path} has format ${STORE_FORMAT + 1}; this program knows up to ${STORE_FORMAT}: use a newer one`,
  });
  for (const text of [
    '',
    'null',
    '[]',
    '{"format":1}',
    '{"format":3}',
    good.replace('"created":"2', '"created":"3'),
    good.replace(`"format":${STORE_FORMAT}`, '"format":0'),
    good.replace(`"format":${STORE_FORMAT}`, '"format":1'),
    good.replace('"uuid":"', '"uuid":"x'),
    good.slice(0, 20),
  ]) {
    fs.writeFileSync(join(path, 'format'), text);
    expect(problem(path).kind).toBe('damaged');
  }
  fs.writeFileSync(join(path, 'format'), good);
  opened(path).release();
});

test('a store of format 1 is upgraded when it is opened for use, and left alone when it is inspected', () => {
  const path = join(directory, 'store');
  const first = opened(path);
  first.release();
  const { identity } = first;
  const { uuid, created } = identity;
  const before = `${JSON.stringify({ format: 1, uuid, created })}\n`;
  fs.writeFileSync(join(path, 'format'), before);
  fs.rmdirSync(join(path, 'text'));
  const inspected = openStore(path, { create: false, inspect: true }) as OpenStore;
  expect(inspected.identity).toEqual(identity);
  expect(inspected.upgradedFrom).toBeUndefined();
  inspected.release();
  expect(fs.readFileSync(join(path, 'format'), 'utf8')).toBe(before);
  expect(fs.existsSync(join(path, 'text'))).toBe(false);
  const upgraded = opened(path);
  expect(upgraded).toMatchObject({ identity, upgradedFrom: 1, created: false });
  upgraded.release();
  const again = opened(path);
  expect(again.upgradedFrom).toBeUndefined();
  again.release();
});

test('a flipped bit anywhere in the format is damage, or names a format that is not known', () => {
  const path = join(directory, 'store');
  opened(path).release();
  const good = fs.readFileSync(join(path, 'format'));
  for (let bit = 0; bit < good.length * 8; bit++) {
    const bytes = Buffer.from(good);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    fs.writeFileSync(join(path, 'format'), bytes);
    expect(['damaged', 'newer-format'], `bit ${bit}`).toContain(problem(path).kind);
  }
});

test('a backup is not mounted, and the message says how it becomes a store', () => {
  const path = join(directory, 'backup');
  fs.mkdirSync(path);
  fs.writeFileSync(join(path, 'backup.json'), '{}');
  expect(problem(path).message).toContain(`vexfs restore ${path} STORE`);
});

test('a creation that was cut short is completed', () => {
  for (const leftovers of [['lock'], ['lock', 'format.tmp'], ['vexfs.toml']]) {
    const path = join(directory, leftovers.join('-'));
    fs.mkdirSync(path);
    for (const name of leftovers) fs.writeFileSync(join(path, name), '');
    const store = opened(path);
    expect(store.created).toBe(true);
    store.release();
  }
});

test('the host disk: what is written is read, and failures are errno values', () => {
  const disk = new HostDisk(directory);
  expect(disk.mkdir('d')).toBe(0);
  expect(disk.mkdir('d')).toBe(-17);
  expect(disk.open('d/f', 'read')).toBe(-2);
  const descriptor = disk.open('d/f', 'create');
  expect(disk.open('d/f', 'create')).toBe(-17);
  const parts = ['one', '', 'two', 'three'].map((text) => new TextEncoder().encode(text));
  expect(disk.writev(descriptor, parts, 2)).toBe(11);
  expect(disk.fdatasync(descriptor)).toBe(0);
  const bytes = new Uint8Array(new SharedArrayBuffer(20));
  expect(disk.pread(descriptor, bytes, 1, 19, 0)).toBe(13);
  expect(Buffer.from(bytes.slice(1, 14)).toString()).toBe('\0\0onetwothree');
  expect(disk.truncate(descriptor, 5)).toBe(0);
  expect(disk.stat('d/f')).toMatchObject({ bytes: 5, directory: false });
  disk.close(descriptor);
  expect(disk.fdatasync(descriptor)).toBe(-9);
  expect(disk.rename('d/f', 'd/g')).toBe(0);
  expect(disk.list('d')).toEqual(['g']);
  expect(disk.rmdir('d')).toBe(-39);
  expect(disk.unlink('d/g')).toBe(0);
  expect(disk.syncDirectory('d')).toBe(0);
  expect(disk.syncDirectory('none')).toBe(-2);
  expect(disk.syncAll()).toBe(0);
  expect(disk.rmdir('d')).toBe(0);
  expect((disk.space() as { freeBytes: number }).freeBytes).toBeGreaterThan(0);
});
