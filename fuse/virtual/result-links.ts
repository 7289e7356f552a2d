/**
 * The blob of a directory of results: what was asked, and its links in order of rank.
 *
 * u32 words: bytes of the key; then per link: offset and bytes of its name, offset and bytes of its target, offsets
 * counted from the start of the blob. Then the key, the names and targets. The key is the name the directory was
 * looked up by, kept to tell equal questions from equal hashes.
 */
import { NAME_MAX, SLAB_MAX, SYMLINK_MAX } from '../../runtime/config/bounds.ts';

export interface SearchResult {
  /** Last component of the path; the link is called by it, after its rank. */
  readonly name: string;
  /** Path from the root of the mount, with or without a leading slash. */
  readonly target: string;
}

export interface EncodedLink {
  readonly name: Uint8Array;
  readonly target: Uint8Array;
}

const LINK_WORDS = 4;

/** `01-name`: the rank with at least two digits, and as much of the name as fits a file name. */
function linkName(rank: number, digits: number, name: string): Uint8Array {
  const bytes = Buffer.from(`${String(rank).padStart(digits, '0')}-${name}`);
  let length = Math.min(bytes.length, NAME_MAX);
  // Not in the middle of a UTF-8 sequence: back over continuation bytes.
  while (length < bytes.length && (bytes[length]! & 0xc0) === 0x80) length--;
  return bytes.subarray(0, length);
}

/** `depth`: directories between the root and the links. Results whose path no symlink can hold are left out. */
export function encodeLinks(results: readonly SearchResult[], depth: number): EncodedLink[] {
  const digits = Math.max(2, String(results.length).length);
  const up = '../'.repeat(depth);
  const links: EncodedLink[] = [];
  for (const result of results) {
    const target = Buffer.from(up + result.target.replace(/^\/+/, ''));
    if (target.length > SYMLINK_MAX) continue;
    links.push({ name: linkName(links.length + 1, digits, result.name), target });
  }
  return links;
}

/** How many of the links, from the first, one slab block holds, and its bytes. */
export function measureLinks(
  keyBytes: number,
  links: readonly EncodedLink[],
): { bytes: number; count: number } {
  let bytes = 4 + keyBytes;
  let count = 0;
  for (const link of links) {
    const more = LINK_WORDS * 4 + link.name.length + link.target.length;
    if (bytes + more > SLAB_MAX) break;
    bytes += more;
    count++;
  }
  return { bytes, count };
}

export function writeLinks(
  u8: Uint8Array,
  at: number,
  key: Uint8Array,
  links: readonly EncodedLink[],
  count: number,
): void {
  const words = new Uint32Array(u8.buffer, u8.byteOffset + at, 1 + count * LINK_WORDS);
  let offset = words.byteLength;
  const put = (bytes: Uint8Array): number => {
    u8.set(bytes, at + offset);
    offset += bytes.length;
    return offset - bytes.length;
  };
  words[0] = key.length;
  put(key);
  for (let n = 0; n < count; n++) {
    const { name, target } = links[n]!;
    const word = 1 + n * LINK_WORDS;
    words[word] = put(name);
    words[word + 1] = name.length;
    words[word + 2] = put(target);
    words[word + 3] = target.length;
  }
}

/** Of the blob at `at` in `blob`: where link n's name and target start in the same bytes, and their lengths. */
export function nameStart(blob: Uint8Array, at: number, n: number): number {
  return at + word(blob, at + 4 + n * LINK_WORDS * 4);
}
export function nameBytes(blob: Uint8Array, at: number, n: number): number {
  return word(blob, at + 8 + n * LINK_WORDS * 4);
}
export function targetStart(blob: Uint8Array, at: number, n: number): number {
  return at + word(blob, at + 12 + n * LINK_WORDS * 4);
}
export function targetBytes(blob: Uint8Array, at: number, n: number): number {
  return word(blob, at + 16 + n * LINK_WORDS * 4);
}

function word(u8: Uint8Array, at: number): number {
  return (u8[at]! | (u8[at + 1]! << 8) | (u8[at + 2]! << 16) | (u8[at + 3]! << 24)) >>> 0;
}

/** Whether the blob, with `count` links, was made for the name u8[start, end). */
export function hasKey(
  blob: Uint8Array,
  at: number,
  count: number,
  u8: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (word(blob, at) !== end - start) return false;
  return same(blob, at + (1 + count * LINK_WORDS) * 4, u8, start, end);
}

const DIGIT_0 = 0x30;
const HYPHEN = 0x2d;

/** The link called u8[start, end), or −1. Its rank says where it is. */
export function findLink(
  blob: Uint8Array,
  at: number,
  count: number,
  u8: Uint8Array,
  start: number,
  end: number,
): number {
  let rank = 0;
  for (let i = start; i < end && u8[i] !== HYPHEN; i++) {
    const digit = u8[i]! - DIGIT_0;
    if (digit < 0 || digit > 9 || rank > count) return -1;
    rank = rank * 10 + digit;
  }
  const n = rank - 1;
  if (n < 0 || n >= count || nameBytes(blob, at, n) !== end - start) return -1;
  return same(blob, nameStart(blob, at, n), u8, start, end) ? n : -1;
}

function same(blob: Uint8Array, from: number, u8: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (blob[from + i - start] !== u8[i]) return false;
  return true;
}
