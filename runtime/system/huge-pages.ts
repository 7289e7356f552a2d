/**
 * Huge pages for memory that is read here and there: madvise(2) through koffi. Without them most such reads also wait for the page
 * table, twice over in a virtual machine.
 */
import koffi from 'koffi';
import { wholePages } from './mapped-file.ts';

const MADV_HUGEPAGE = 14;

const libc = koffi.load(null);
const madviseCall = libc.func('int madvise(void *memory, size_t length, int advice)');

/**
 * Asks for pages of 2 MiB in u8[start, end), where nothing was written yet: the first write to one takes all of it. 0 or −errno; a
 * system that has none of them goes on with small ones.
 */
export function adviseHugePages(u8: Uint8Array, start: number, end: number): number {
  const { first, bytes } = wholePages(u8, start, end);
  if (bytes === 0) return 0;
  return madviseCall(u8.subarray(first, first + bytes), bytes, MADV_HUGEPAGE) < 0 ? -koffi.errno() : 0;
}
