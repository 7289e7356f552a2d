/** File names as byte ranges: what is allowed, equality, and the hash of (directory, name). */
import { NAME_MAX } from '../../runtime/config/bounds.ts';
import { EINVAL, ENAMETOOLONG, ENOENT } from '../../runtime/errno.ts';

const SLASH = 0x2f;
const DOT = 0x2e;

/** 0, or −errno as path_resolution(7) has it: empty ENOENT, over 255 bytes ENAMETOOLONG, with '/' or NUL EINVAL. */
export function checkName(u8: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length <= 0) return -ENOENT;
  if (length > NAME_MAX) return -ENAMETOOLONG;
  for (let i = start; i < end; i++) {
    const c = u8[i]!;
    if (c === SLASH || c === 0) return -EINVAL;
  }
  return 0;
}

/** 1 for ".", 2 for "..", else 0. */
export function dots(u8: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length === 1 && u8[start] === DOT) return 1;
  if (length === 2 && u8[start] === DOT && u8[start + 1] === DOT) return 2;
  return 0;
}

/** i32: FNV-1a over the bytes, started from the directory, finished by MurmurHash3's mixer (low bits pick the bucket). */
export function hashName(parent: number, u8: Uint8Array, start: number, end: number): number {
  let h = Math.imul(parent, 0x9e3779b1) ^ 0x811c9dc5;
  for (let i = start; i < end; i++) h = Math.imul(h ^ u8[i]!, 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

export function sameBytes(
  a: Uint8Array,
  aStart: number,
  b: Uint8Array,
  bStart: number,
  length: number,
): boolean {
  for (let i = 0; i < length; i++) if (a[aStart + i] !== b[bStart + i]) return false;
  return true;
}

/** Faster than `set` and `subarray` up to some dozen bytes, and allocates nothing. */
export function copyBytes(to: Uint8Array, at: number, from: Uint8Array, start: number, length: number): void {
  if (length > 64) {
    to.set(from.subarray(start, start + length), at);
    return;
  }
  for (let i = 0; i < length; i++) to[at + i] = from[start + i]!;
}
