/**
 * What the system is told about pages of memory, shared memory included: madvise(2) through koffi.
 *
 * A SharedArrayBuffer of V8 is private anonymous memory of the process, so MADV_DONTNEED drops its pages for all
 * threads at once, and they read as zeros until somebody writes to them again. (MADV_REMOVE is for memory that a file
 * backs: it answers EINVAL here.)
 */
import koffi from 'koffi';

const PAGE = 4096;
const MADV_DONTNEED = 4;
const MADV_HUGEPAGE = 14;

const madviseCall = koffi.load(null).func('int madvise(uintptr_t address, size_t length, int advice)');

/** Where the first byte of `u8` is in the memory of the process. A buffer never moves. */
export function addressOf(u8: Uint8Array): number {
  return Number(koffi.address(u8));
}

/** The whole pages of u8[start, end): where they begin, from the beginning of `u8`, and their bytes. */
export function wholePages(u8: Uint8Array, start: number, end: number): { first: number; bytes: number } {
  const base = addressOf(u8);
  const first = Math.ceil((base + start) / PAGE) * PAGE - base;
  return { first, bytes: Math.max(0, Math.floor((base + end) / PAGE) * PAGE - base - first) };
}

/** Gives every page that lies wholly within u8[start, end) back to the system. The bytes of them, or −errno. */
export function releasePages(u8: Uint8Array, start: number, end: number): number {
  return advise(u8, start, end, MADV_DONTNEED);
}

/**
 * Asks for pages of 2 MiB in u8[start, end), where nothing was written yet: the first write to one takes all of it. Without
 * them most reads here and there also wait for the page table, twice over in a virtual machine. The bytes of whole small
 * pages in the range, or −errno: a system that has no huge ones goes on with those.
 */
export function adviseHugePages(u8: Uint8Array, start: number, end: number): number {
  return advise(u8, start, end, MADV_HUGEPAGE);
}

function advise(u8: Uint8Array, start: number, end: number, advice: number): number {
  const { first, bytes } = wholePages(u8, start, end);
  if (bytes === 0) return 0;
  return madviseCall(addressOf(u8) + first, bytes, advice) < 0 ? -koffi.errno() : bytes;
}
