/** Requests that Linux has beside POSIX's, as bytes, and what their answers say. */
import { expect } from 'vitest';
import * as abi from '../../fuse/protocol/abi.ts';
import { type Caller, concat, type Entry, entryOf, type Node, strings, words } from './encoding.ts';
import type { Harness } from './harness.ts';

export const ROOT_USER: Caller = { uid: 0, gid: 0 };

/** A list as setfacl(1) writes it: u user, g group, m mask, o others. */
export function list(text: string): Buffer {
  const tags: Record<string, number> = { 'u:': 1, u: 2, 'g:': 4, g: 8, 'm:': 0x10, 'o:': 0x20 };
  const entries = text.split(',').map((entry) => {
    const [kind, id, permissions] = entry.split(':') as [string, string, string];
    const bits = (permissions.includes('r') ? 4 : 0) + (permissions.includes('w') ? 2 : 0);
    const bytes = Buffer.alloc(8);
    bytes.writeUInt16LE(tags[id === '' ? `${kind}:` : kind]!, 0);
    bytes.writeUInt16LE(bits + (permissions.includes('x') ? 1 : 0), 2);
    bytes.writeUInt32LE(id === '' ? 0xffff_ffff : Number(id), 4);
    return bytes;
  });
  return concat(words(2), ...entries);
}

export function u64(...values: number[]): Buffer {
  return Buffer.from(BigUint64Array.from(values.map(BigInt)).buffer);
}

export function tmpfile(h: Harness, directory: Node, flags = 0, mode = 0o644, umask = 0): Entry | number {
  return entryOf(h.call(abi.FUSE_TMPFILE, directory, concat(words(flags, mode, umask, 0), strings('/'))));
}

export function ioctl(
  h: Harness,
  node: Node,
  command: number,
  data: Buffer,
  room: number,
  caller = ROOT_USER,
) {
  const body = concat(words(0, 0, 0, command, 0, 0, data.length, room), data);
  return h.call(abi.FUSE_IOCTL, node, body, caller);
}

export const setFlags = (h: Harness, node: Node, flags: number, caller?: Caller) =>
  ioctl(h, node, abi.FS_IOC_SETFLAGS, words(flags), 0, caller).error;

export function flagsOf(h: Harness, node: Node): number {
  const { error, body } = ioctl(h, node, abi.FS_IOC_GETFLAGS, Buffer.alloc(0), 8);
  if (error !== 0) return error!;
  expect(body.length, 'an int, though the request says long').toBe(abi.IOCTL_OUT_BYTES + 4);
  return body.readUInt32LE(abi.IOCTL_OUT_BYTES);
}

export function seek(h: Harness, node: Node, offset: number, whence: number): number {
  const { error, body } = h.call(abi.FUSE_LSEEK, node, concat(u64(0, offset), words(whence, 0)));
  return error === 0 ? Number(body.readBigUInt64LE(0)) : error!;
}

export function copyRange(
  h: Harness,
  from: Node,
  at: number,
  to: Node,
  target: number,
  length: number,
  flags = 0,
) {
  const body = concat(u64(0, at), words(to.lo, to.hi), u64(0, target, length, flags));
  const narrow = h.call(abi.FUSE_COPY_FILE_RANGE, from, body);
  return narrow.error === 0 ? narrow.body.readUInt32LE(0) : narrow.error!;
}
