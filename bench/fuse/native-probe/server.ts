/**
 * A host directory shown through fuse-native: node server.js FOLDER BASE DIRECTORY, where FOLDER is the package that has fuse-native
 * among its modules. Every operation that fuse-native offers is the host's own on the same path, with all that it passes on: what
 * differs from the host then is what gets lost on the way.
 */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import koffi from 'koffi';

type Reply = (error: number, ...values: unknown[]) => void;
type Stats = fs.Stats;

const [folder, base, directory] = process.argv.slice(2) as [string, string, string];
const libc = koffi.load(null);
const setxattr = libc.func('int lsetxattr(const char *p, const char *n, const void *v, size_t s, int f)');
const getxattr = libc.func('long lgetxattr(const char *p, const char *n, void *v, size_t s)');
const listxattr = libc.func('long llistxattr(const char *p, void *v, size_t s)');
const removexattr = libc.func('int lremovexattr(const char *p, const char *n)');
const mkfifo = libc.func('int mkfifo(const char *p, unsigned int mode)');

const at = (name: string): string => path.join(base, name);

/** Answers with what `call` returns, or with its −errno. */
function answer(reply: Reply, call: () => unknown): void {
  try {
    const value = call();
    if (value === undefined) reply(0);
    else reply(0, value);
  } catch (error) {
    reply((error as NodeJS.ErrnoException).errno ?? -5);
  }
}

/** read and write answer with their number of bytes in place of an error. */
function count(reply: (bytes: number) => void, call: () => number): void {
  try {
    reply(call());
  } catch (error) {
    reply((error as NodeJS.ErrnoException).errno ?? -5);
  }
}

function checked(result: number | bigint): number {
  if (Number(result) >= 0) return Number(result);
  throw Object.assign(new Error('xattr'), { errno: -koffi.errno() });
}

/** As its numbers are written by the addon: milliseconds for times, which it cuts into seconds and nanoseconds. */
const shown = (stats: Stats): Stats => stats;

const operations = {
  getattr: (name: string, reply: Reply) => answer(reply, () => shown(fs.lstatSync(at(name)))),
  fgetattr: (name: string, fd: number, reply: Reply) =>
    answer(reply, () => shown(fd > 0 ? fs.fstatSync(fd) : fs.lstatSync(at(name)))),
  readdir: (name: string, reply: Reply) => answer(reply, () => fs.readdirSync(at(name))),
  readlink: (name: string, reply: Reply) => answer(reply, () => fs.readlinkSync(at(name))),
  truncate: (name: string, size: number, reply: Reply) =>
    answer(reply, () => fs.truncateSync(at(name), size)),
  ftruncate: (_name: string, fd: number, size: number, reply: Reply) =>
    answer(reply, () => fs.ftruncateSync(fd, size)),
  utimens: (name: string, atime: number, mtime: number, reply: Reply) =>
    answer(reply, () => fs.lutimesSync(at(name), atime / 1000, mtime / 1000)),
  chown: (name: string, uid: number, gid: number, reply: Reply) =>
    answer(reply, () => fs.lchownSync(at(name), uid, gid)),
  chmod: (name: string, mode: number, reply: Reply) => answer(reply, () => fs.chmodSync(at(name), mode)),
  mknod: (name: string, mode: number, _device: number, reply: Reply) =>
    answer(reply, () => {
      if ((mode & 0o170000) === 0o010000) checked(mkfifo(at(name), mode & 0o7777));
      else fs.closeSync(fs.openSync(at(name), 'wx', mode & 0o7777));
    }),
  open: (name: string, flags: number, reply: Reply) => answer(reply, () => fs.openSync(at(name), flags)),
  create: (name: string, mode: number, reply: Reply) =>
    answer(reply, () => fs.openSync(at(name), 'w+', mode)),
  read: (_name: string, fd: number, u8: Uint8Array, length: number, position: number, reply: Reply) =>
    count(reply, () => fs.readSync(fd, u8, 0, length, position)),
  write: (_name: string, fd: number, u8: Uint8Array, length: number, position: number, reply: Reply) =>
    count(reply, () => fs.writeSync(fd, u8, 0, length, position)),
  release: (_name: string, fd: number, reply: Reply) => answer(reply, () => fs.closeSync(fd)),
  fsync: (_name: string, _dataOnly: boolean, fd: number, reply: Reply) =>
    answer(reply, () => fs.fsyncSync(fd)),
  unlink: (name: string, reply: Reply) => answer(reply, () => fs.unlinkSync(at(name))),
  rename: (name: string, to: string, reply: Reply) => answer(reply, () => fs.renameSync(at(name), at(to))),
  link: (name: string, to: string, reply: Reply) => answer(reply, () => fs.linkSync(at(name), at(to))),
  symlink: (target: string, name: string, reply: Reply) =>
    answer(reply, () => fs.symlinkSync(target, at(name))),
  mkdir: (name: string, mode: number, reply: Reply) => answer(reply, () => void fs.mkdirSync(at(name), mode)),
  rmdir: (name: string, reply: Reply) => answer(reply, () => fs.rmdirSync(at(name))),
  setxattr: (name: string, key: string, value: Uint8Array, _position: number, flags: number, reply: Reply) =>
    answer(reply, () => void checked(setxattr(at(name), key, value, value.length, flags))),
  getxattr: (name: string, key: string, _position: number, reply: Reply) =>
    answer(reply, () => {
      const value = Buffer.alloc(65536);
      return value.subarray(0, checked(getxattr(at(name), key, value, value.length)));
    }),
  listxattr: (name: string, reply: Reply) =>
    answer(reply, () => {
      const names = Buffer.alloc(65536);
      return names
        .toString('utf8', 0, checked(listxattr(at(name), names, names.length)))
        .split('\0')
        .filter((key) => key !== '');
    }),
  removexattr: (name: string, key: string, reply: Reply) =>
    answer(reply, () => void checked(removexattr(at(name), key))),
};

const Fuse = createRequire(path.join(folder, 'package.json'))('fuse-native');
const options = { force: true, allowOther: true, defaultPermissions: true, autoUnmount: false };
new Fuse(directory, operations, options).mount((error: Error | undefined) => {
  if (error) throw error;
});
