/**
 * POSIX access control lists in the form that Linux passes them as extended attributes
 * (include/uapi/linux/posix_acl_xattr.h), which is the form in which they are kept:
 *
 *   u32 version = 2, then entries of 8 bytes: u16 tag, u16 permissions (rwx as 4, 2, 1), u32 uid or gid
 *
 * Entries come in the order of the tags below. All functions take the list as u8[start, end) of bytes that {@link isList} has
 * found sound, and may be called by readers if they then ask that first.
 */
import { copyBytes, sameBytes } from './names.ts';

const USER_OBJ = 0x01;
export const USER = 0x02;
const GROUP_OBJ = 0x04;
export const GROUP = 0x08;
export const MASK = 0x10;
export const OTHER = 0x20;

const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;
const OBJECTS = 3;

const encoder = new TextEncoder();
export const ACCESS_XATTR = encoder.encode('system.posix_acl_access');
export const DEFAULT_XATTR = encoder.encode('system.posix_acl_default');

/** What an attribute's name says of lists. */
export const NO_LIST = 0;
/** Who may do what with this inode. */
export const ACCESS_LIST = 1;
/** Of a directory: what is made in it begins with this list. */
export const DEFAULT_LIST = 2;

export function listKind(u8: Uint8Array, start: number, end: number): number {
  if (isCalled(ACCESS_XATTR, u8, start, end)) return ACCESS_LIST;
  return isCalled(DEFAULT_XATTR, u8, start, end) ? DEFAULT_LIST : NO_LIST;
}

function isCalled(name: Uint8Array, u8: Uint8Array, start: number, end: number): boolean {
  return end - start === name.length && sameBytes(u8, start, name, 0, name.length);
}

function tagOf(u8: Uint8Array, entry: number): number {
  return u8[entry]! | (u8[entry + 1]! << 8);
}

function permissionsOf(u8: Uint8Array, entry: number): number {
  return u8[entry + 2]!;
}

function idOf(u8: Uint8Array, entry: number): number {
  return (u8[entry + 4]! | (u8[entry + 5]! << 8) | (u8[entry + 6]! << 16) | (u8[entry + 7]! << 24)) >>> 0;
}

/** Whether it is a list as posix_acl_valid() of the kernel has it: one of each object, a mask where users or groups are named. */
export function isList(u8: Uint8Array, start: number, end: number): boolean {
  const bytes = end - start;
  if (bytes < HEADER_BYTES + OBJECTS * ENTRY_BYTES || (bytes - HEADER_BYTES) % ENTRY_BYTES !== 0)
    return false;
  if (end > u8.length || u8[start] !== VERSION || u8[start + 1]! + u8[start + 2]! + u8[start + 3]! !== 0)
    return false;
  let seen = 0;
  for (let entry = start + HEADER_BYTES; entry < end; entry += ENTRY_BYTES) {
    const tag = tagOf(u8, entry);
    const isNamed = tag === USER || tag === GROUP;
    const isKnown = isNamed || tag === USER_OBJ || tag === GROUP_OBJ || tag === MASK || tag === OTHER;
    // Tags grow along the list, so each may come once, and those that name somebody again and again.
    if (!isKnown || seen >= tag << 1 || (!isNamed && (seen & tag) !== 0)) return false;
    if (u8[entry + 3] !== 0 || permissionsOf(u8, entry) > 7) return false;
    seen |= tag;
  }
  const needed = USER_OBJ | GROUP_OBJ | OTHER | ((seen & (USER | GROUP)) !== 0 ? MASK : 0);
  return (seen & needed) === needed;
}

/** The entry with this tag, −1 = there is none. */
function find(u8: Uint8Array, start: number, end: number, tag: number): number {
  for (let entry = start + HEADER_BYTES; entry < end; entry += ENTRY_BYTES)
    if (tagOf(u8, entry) === tag) return entry;
  return -1;
}

/** The entry that the group bits of a mode show. */
function groupClass(u8: Uint8Array, start: number, end: number): number {
  const mask = find(u8, start, end, MASK);
  return mask >= 0 ? mask : find(u8, start, end, GROUP_OBJ);
}

/** The nine permission bits that say the same as far as nine bits can. */
export function permissionBits(u8: Uint8Array, start: number, end: number): number {
  const owner = permissionsOf(u8, find(u8, start, end, USER_OBJ));
  const group = permissionsOf(u8, groupClass(u8, start, end));
  return (owner << 6) | (group << 3) | permissionsOf(u8, find(u8, start, end, OTHER));
}

/** Whether those nine bits say all of it. */
export function isMinimal(start: number, end: number): boolean {
  return end - start === HEADER_BYTES + OBJECTS * ENTRY_BYTES;
}

/** chmod(2): the entries that the mode shows become what it says. In place. */
export function applyMode(u8: Uint8Array, start: number, end: number, mode: number): void {
  u8[find(u8, start, end, USER_OBJ) + 2] = (mode >>> 6) & 7;
  u8[groupClass(u8, start, end) + 2] = (mode >>> 3) & 7;
  u8[find(u8, start, end, OTHER) + 2] = mode & 7;
}

/** What a new inode with this mode inherits: the list, in place, and the mode, each cut down to what both allow. */
export function restrict(u8: Uint8Array, start: number, end: number, mode: number): number {
  const bits = permissionBits(u8, start, end) & mode & 0o777;
  applyMode(u8, start, end, bits);
  return (mode & ~0o777) | bits;
}

/** Whether a process may do all that `wanted` (rwx as 4, 2, 1) says. As posix_acl_permission() of the kernel. */
export function permits(
  u8: Uint8Array,
  start: number,
  end: number,
  owner: number,
  group: number,
  uid: number,
  gids: readonly number[],
  wanted: number,
): boolean {
  const allows = (entry: number, mask: number) =>
    (permissionsOf(u8, entry) & (mask < 0 ? 7 : permissionsOf(u8, mask)) & wanted) === wanted;
  const mask = find(u8, start, end, MASK);
  let isInGroup = false;
  for (let entry = start + HEADER_BYTES; entry < end; entry += ENTRY_BYTES) {
    const tag = tagOf(u8, entry);
    if (tag === USER_OBJ && uid === owner) return allows(entry, -1);
    if (tag === USER && idOf(u8, entry) === uid) return allows(entry, mask);
    if ((tag === GROUP_OBJ && gids.includes(group)) || (tag === GROUP && gids.includes(idOf(u8, entry)))) {
      if (allows(entry, mask)) return true;
      isInGroup = true;
    }
    if (tag === OTHER) return !isInGroup && allows(entry, -1);
  }
  return false;
}

/** Copies a list to where it can be changed. Its end there. */
export function copyList(to: Uint8Array, u8: Uint8Array, start: number, end: number): number {
  copyBytes(to, 0, u8, start, end - start);
  return end - start;
}
