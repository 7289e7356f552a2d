import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CLI, type Outcome, titled } from './mounted.ts';

const probe = spawnSync('unshare', ['--mount', '--propagation', 'private', 'true']);
const unavailable = probe.status === 0 ? undefined : 'no mount namespace can be made here';

/** A command line that sees another /dev than everybody else. */
function inNamespace(prepare: string, args: readonly string[]): Outcome {
  const script = `${prepare} && exec "$0" "$@"`;
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['--mount', '--propagation', 'private', 'sh', '-c', script, process.execPath, CLI, ...args],
    { encoding: 'utf8', timeout: 60_000 },
  );
  return { code: status, stdout, stderr };
}

const WITHOUT_FUSE =
  'mount -t tmpfs tmpfs /dev && mknod /dev/null c 1 3 && mknod /dev/urandom c 1 9 && ln -s /proc/self/fd /dev/fd';

describe.skipIf(unavailable)(titled('where FUSE cannot be used', unavailable), () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'vexfs-e2e-'));
    mkdirSync(join(root, 'mnt'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  test('mount says that /dev/fuse is missing and what to do, and makes no store', () => {
    const outcome = inNamespace(WITHOUT_FUSE, ['mount', join(root, 'store'), join(root, 'mnt')]);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(
      /^vexfs: \/dev\/fuse is missing: .*modprobe fuse.*--device \/dev\/fuse.*\n$/,
    );
    expect(existsSync(join(root, 'store'))).toBe(false);
  });

  test('doctor says so too, with exit code 1', () => {
    const outcome = inNamespace(WITHOUT_FUSE, ['doctor']);
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toMatch(/^FAILED\s+\/dev\/fuse\s+missing: .*modprobe fuse/m);
  });

  const device = existsSync('/dev/fuse') ? undefined : 'there is no /dev/fuse to cover';
  test.skipIf(device)(
    titled('a mount that the kernel refuses is one sentence, and leaves the store free', device),
    () => {
      writeFileSync(join(root, 'no-device'), '');
      const prepare = `mount --bind ${join(root, 'no-device')} /dev/fuse`;
      const args = ['mount', join(root, 'store'), join(root, 'mnt')];
      for (let attempt = 0; attempt < 2; attempt++) {
        const outcome = inNamespace(prepare, args);
        expect(outcome.code).toBe(1);
        expect(outcome.stderr).toMatch(/^vexfs: mounting on .* failed with errno 22\n$/);
      }
    },
  );
});
