/** What Linux has beside POSIX, through the kernel: the calls that Node has not come from the C library. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EINVAL, ENOENT, ENXIO, EOPNOTSUPP, EPERM, ESTALE } from '../../runtime/errno.ts';
import { Mounted, missing, NO_FUSE, titled } from './mounted.ts';

const libc = koffi.load(null);
const linkatCall = libc.func('int linkat(int from, const char *path, int to, const char *name, int flags)');
const copyCall = libc.func(
  'long copy_file_range(int from, void *at, int to, void *target, size_t n, int flags)',
);
const fallocateCall = libc.func('int fallocate(int fd, int mode, long offset, long length)');
const lseekCall = libc.func('long lseek(int fd, long offset, int whence)');
const setxattrCall = libc.func(
  'int setxattr(const char *path, const char *name, const void *value, size_t n, int flags)',
);
const getxattrCall = libc.func('long getxattr(const char *path, const char *name, void *value, size_t n)');
const renameat2Call = libc.func(
  'int renameat2(int from, const char *path, int to, const char *name, unsigned int flags)',
);

const handleCall = libc.func(
  'int name_to_handle_at(int from, const char *path, void *handle, void *mount, int flags)',
);
const openHandleCall = libc.func('int open_by_handle_at(int mount, void *handle, int flags)');

const O_TMPFILE = 0o20200000;
const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;
const [SEEK_DATA, SEEK_HOLE] = [3, 4];
const RENAME_WHITEOUT = 4;
const NOBODY = 65_534;
const ACCESS = 'system.posix_acl_access';
const DEFAULT = 'system.posix_acl_default';

/** A call's result, or −errno. */
const result = (value: number | bigint): number => (Number(value) < 0 ? -koffi.errno() : Number(value));

/** Tag, permissions, id of each entry. */
function list(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(4 + (numbers.length / 3) * 8);
  bytes.writeUInt32LE(2);
  for (let i = 0; i < numbers.length; i += 3) {
    bytes.writeUInt16LE(numbers[i]!, 4 + (i / 3) * 8);
    bytes.writeUInt16LE(numbers[i + 1]!, 6 + (i / 3) * 8);
    bytes.writeInt32LE(numbers[i + 2]!, 8 + (i / 3) * 8);
  }
  return bytes;
}

const LIST_FOR_NOBODY = list(1, 6, -1, 2, 4, NOBODY, 4, 0, -1, 16, 4, -1, 32, 0, -1);

describe.skipIf(NO_FUSE)(titled('in the mount', NO_FUSE), () => {
  let mounted: Mounted;
  const at = (name: string): string => join(mounted.dir, name);
  const isRoot = process.getuid?.() === 0;
  const notRoot = isRoot ? missing('setpriv') : 'only root can become another user';

  beforeAll(() => {
    mounted = new Mounted('[index]\nenabled = false\n');
    fs.chmodSync(mounted.root, 0o755);
    mounted.mount(isRoot ? ['-o', 'allow_other'] : []);
    fs.chmodSync(mounted.dir, 0o755);
  });
  afterAll(() => mounted?.dispose());

  /** Whether an ordinary user can read the file. */
  const nobodyReads = (name: string): boolean =>
    spawnSync('setpriv', ['--reuid', `${NOBODY}`, '--clear-groups', 'cat', at(name)]).status === 0;
  const setList = (name: string, xattr: string, value: Buffer): number =>
    result(setxattrCall(at(name), xattr, value, value.length, 0));

  test('the time of birth is told and stays', () => {
    const before = Date.now();
    fs.writeFileSync(at('born'), 'x');
    fs.utimesSync(at('born'), 1, 2);
    fs.chmodSync(at('born'), 0o600);
    const { birthtimeMs, mtimeMs } = fs.statSync(at('born'));
    expect(mtimeMs).toBe(2000);
    expect(Math.abs(birthtimeMs - before)).toBeLessThan(60_000);
  });

  test('times before 1970 and after 2106 come back as they were set', () => {
    fs.writeFileSync(at('times'), 'x');
    fs.utimesSync(at('times'), new Date(-86_401_500), new Date(6_000_000_000_250));
    const { atimeMs, mtimeMs } = fs.statSync(at('times'));
    expect([atimeMs, mtimeMs]).toEqual([-86_401_500, 6_000_000_000_250]);
  });

  test('a file without a name is written, named, and then found; with O_EXCL it cannot be named', () => {
    const fd = fs.openSync(mounted.dir, O_TMPFILE | fs.constants.O_RDWR, 0o640);
    fs.writeSync(fd, 'z'.repeat(100_000));
    expect(fs.fstatSync(fd).nlink).toBe(0);
    const link = (from: number, name: string): number =>
      result(linkatCall(AT_FDCWD, `/proc/self/fd/${from}`, AT_FDCWD, at(name), AT_SYMLINK_FOLLOW));
    expect(link(fd, 'named')).toBe(0);
    fs.closeSync(fd);
    expect(fs.readFileSync(at('named')).length).toBe(100_000);
    expect(fs.statSync(at('named')).nlink).toBe(1);
    const flags = O_TMPFILE | fs.constants.O_EXCL | fs.constants.O_RDWR;
    const nameless = fs.openSync(mounted.dir, flags, 0o640);
    expect(link(nameless, 'never')).toBe(-ENOENT);
    fs.closeSync(nameless);
  });

  test('holes are found, copied and made', () => {
    const fd = fs.openSync(at('sparse'), 'w+');
    fs.writeSync(fd, Buffer.alloc(4096, 1), 0, 4096, 0);
    fs.writeSync(fd, Buffer.alloc(4096, 2), 0, 4096, 1 << 20);
    fs.ftruncateSync(fd, 2 << 20);
    const seek = (offset: number, whence: number): number => result(lseekCall(fd, offset, whence));
    expect(seek(0, SEEK_DATA!)).toBe(0);
    expect([4096, 0]).toContain(seek(0, SEEK_HOLE!) % (1 << 20));
    expect(seek((1 << 20) + 8192, SEEK_DATA!)).toBeLessThan(0);
    expect(seek(2 << 20, SEEK_DATA!)).toBe(-ENXIO);
    const copy = fs.openSync(at('copy'), 'w+');
    const [from, to] = [BigInt64Array.of(0n), BigInt64Array.of(0n)];
    expect(result(copyCall(fd, from, copy, to, 4 << 20, 0))).toBe(2 << 20);
    expect(fs.readFileSync(at('copy')).equals(fs.readFileSync(at('sparse')))).toBe(true);
    expect(result(fallocateCall(copy, 3, 1000, 2000))).toBe(0);
    expect(
      fs
        .readFileSync(at('copy'))
        .subarray(999, 3001)
        .filter((byte) => byte !== 0).length,
    ).toBe(2);
    expect(result(fallocateCall(copy, 8, 0, 4096))).toBe(-EOPNOTSUPP);
    expect(result(fallocateCall(copy, 1, 0, 8 << 20))).toBe(0);
    expect(fs.fstatSync(copy).size).toBe(2 << 20);
    fs.closeSync(fd);
    fs.closeSync(copy);
  });

  test.skipIf(!isRoot || missing('chattr'))(
    'an immutable file does not change, an append-only one grows',
    () => {
      fs.writeFileSync(at('kept'), 'text');
      const chattr = (flags: string): number | null => spawnSync('chattr', [flags, at('kept')]).status;
      const attempt = (call: () => void): string | undefined => {
        try {
          call();
          return undefined;
        } catch (error) {
          return (error as NodeJS.ErrnoException).code;
        }
      };
      const before = fs.statSync(at('kept')).ctimeMs;
      expect(chattr('+i')).toBe(0);
      expect(fs.statSync(at('kept')).ctimeMs, 'seen at once').toBeGreaterThan(before);
      expect(spawnSync('lsattr', [at('kept')]).stdout.toString()).toMatch(/^----i/);
      const refused = [
        () => fs.appendFileSync(at('kept'), 'x'),
        () => fs.truncateSync(at('kept')),
        () => fs.unlinkSync(at('kept')),
        () => fs.renameSync(at('kept'), at('moved')),
        () => fs.linkSync(at('kept'), at('second')),
        () => fs.chmodSync(at('kept'), 0o600),
        () => fs.utimesSync(at('kept'), 1, 1),
      ];
      expect(refused.map(attempt)).toEqual(refused.map(() => 'EPERM'));
      expect([chattr('-i'), chattr('+a')]).toEqual([0, 0]);
      expect(attempt(() => fs.appendFileSync(at('kept'), ' and more'))).toBeUndefined();
      expect(attempt(() => fs.truncateSync(at('kept')))).toBe('EPERM');
      expect(chattr('-a')).toBe(0);
      expect(fs.readFileSync(at('kept'), 'utf8')).toBe('text and more');
      expect(chattr('+S')).not.toBe(0);
    },
  );

  test.skipIf(!isRoot)('a whiteout takes the place of what is renamed away', () => {
    fs.writeFileSync(at('lower'), 'text');
    const rename = (flags: number): number =>
      result(renameat2Call(AT_FDCWD, at('lower'), AT_FDCWD, at('upper'), flags));
    expect(rename(RENAME_WHITEOUT | 2)).toBe(-EINVAL);
    expect(rename(RENAME_WHITEOUT)).toBe(0);
    expect(fs.statSync(at('lower'))).toMatchObject({ rdev: 0, nlink: 1 });
    expect(fs.statSync(at('lower')).isCharacterDevice()).toBe(true);
    expect(fs.readFileSync(at('upper'), 'utf8')).toBe('text');
  });

  test.skipIf(notRoot)('the kernel enforces access lists, and chmod and they follow each other', () => {
    fs.writeFileSync(at('listed'), 'text', { mode: 0o600 });
    expect(nobodyReads('listed')).toBe(false);
    expect(setList('listed', ACCESS, LIST_FOR_NOBODY)).toBe(0);
    expect(fs.statSync(at('listed')).mode & 0o777).toBe(0o640);
    expect(nobodyReads('listed')).toBe(true);
    fs.chmodSync(at('listed'), 0o600);
    expect(nobodyReads('listed')).toBe(false);
    const value = Buffer.alloc(256);
    expect(result(getxattrCall(at('listed'), ACCESS, value, value.length))).toBe(LIST_FOR_NOBODY.length);
    expect(value.readUInt16LE(4 + 3 * 8 + 2), 'the mask').toBe(0);
    expect(setList('listed', ACCESS, Buffer.from('no list'))).toBeLessThan(0);
  });

  test('reading a file that has changed since says when it was read', () => {
    fs.writeFileSync(at('read'), 'text');
    fs.utimesSync(at('read'), 1, 2);
    fs.readFileSync(at('read'));
    expect(fs.statSync(at('read')).atimeMs).toBeGreaterThan(2000);
    expect(result(setxattrCall(at('read'), 'user.vexfs.indexed', Buffer.from('x'), 1, 0))).toBe(-EPERM);
  });

  test.skipIf(!isRoot)('a default list takes the place of the umask, across a mount with noatime', () => {
    fs.mkdirSync(at('shared'));
    expect(setList('shared', DEFAULT, list(1, 7, -1, 2, 7, NOBODY, 4, 5, -1, 16, 7, -1, 32, 0, -1))).toBe(0);
    mounted.unmount();
    mounted.mount(['-o', 'allow_other,noatime']);
    fs.writeFileSync(at('unnoticed'), 'text');
    fs.utimesSync(at('unnoticed'), 1, 2);
    fs.readFileSync(at('unnoticed'));
    expect(fs.statSync(at('unnoticed')).atimeMs, 'with noatime').toBe(1000);
    const umask = process.umask(0o077);
    fs.writeFileSync(at('shared/file'), 'text');
    fs.mkdirSync(at('shared/directory'));
    fs.writeFileSync(at('alone'), 'text');
    process.umask(umask);
    const modes = ['shared/file', 'shared/directory', 'alone'].map(
      (name) => fs.statSync(at(name)).mode & 0o777,
    );
    expect(modes).toEqual([0o660, 0o770, 0o600]);
    expect(result(getxattrCall(at('shared/directory'), DEFAULT, Buffer.alloc(256), 256))).toBe(44);
  });

  test.skipIf(!isRoot)('a handle finds its file after another mount, wherever that is by then', () => {
    const handleOf = (name: string): Buffer => {
      const handle = Buffer.alloc(8 + 128);
      handle.writeUInt32LE(128);
      expect(result(handleCall(AT_FDCWD, at(name), handle, Buffer.alloc(4), 0))).toBe(0);
      return handle;
    };
    const opened = (handle: Buffer): number => {
      const mount = fs.openSync(mounted.dir, 'r');
      const fd = result(openHandleCall(mount, handle, fs.constants.O_RDONLY));
      fs.closeSync(mount);
      return fd;
    };
    fs.mkdirSync(at('from'));
    for (const name of ['moved', 'linked', 'gone']) fs.writeFileSync(at(`from/${name}`), name);
    const [directory, moved, linked, gone] = ['from', 'from/moved', 'from/linked', 'from/gone'].map(handleOf);
    fs.renameSync(at('from/moved'), at('elsewhere'));
    fs.linkSync(at('from/linked'), at('other'));
    fs.rmSync(at('from/linked'));
    fs.rmSync(at('from/gone'));
    fs.renameSync(at('from'), at('to'));
    mounted.unmount();
    mounted.mount(['-o', 'allow_other']);
    for (const [name, handle] of [
      ['moved', moved!],
      ['linked', linked!],
    ] as const) {
      const fd = opened(handle);
      expect(fd).toBeGreaterThan(0);
      expect(fs.readFileSync(fd, 'utf8')).toBe(name);
      fs.closeSync(fd);
    }
    const found = opened(directory!);
    expect(fs.readlinkSync(`/proc/self/fd/${found}`)).toBe(at('to'));
    fs.closeSync(found);
    fs.writeFileSync(at('successor'), '');
    expect(opened(gone!)).toBe(-ESTALE);
  });
});
