/**
 * Giving pages of shared memory back to the system: madvise(2) through koffi.
 *
 * A SharedArrayBuffer of V8 is private anonymous memory of the process, so MADV_DONTNEED drops its pages for all
 * threads at once, and they read as zeros until somebody writes to them again. (MADV_REMOVE is for memory that a file
 * backs: it answers EINVAL here.)
 */
import koffi from 'koffi';

const PAGE = 4096;
const MADV_DONTNEED = 4;

const libc = koffi.load(null);
const madviseCall = libc.func('int madvise(uintptr_t address, size_t length, int advice)');
/** Of no bytes: the address of the memory, which koffi passes as a pointer and gives back as a number. */
const addressCall = libc.func('uintptr_t memset(void *memory, int byte, size_t length)');

/** Drops every page that lies wholly within u8[start, end). The bytes dropped, or −errno. */
export function releasePages(u8: Uint8Array, start: number, end: number): number {
  const base = Number(addressCall(u8, 0, 0));
  const first = Math.ceil((base + start) / PAGE) * PAGE;
  const last = Math.floor((base + end) / PAGE) * PAGE;
  if (last <= first) return 0;
  return madviseCall(first, last - first, MADV_DONTNEED) < 0 ? -koffi.errno() : last - first;
}
