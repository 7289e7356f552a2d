/**
 * A file in the place of memory that is there already: mmap(2) with MAP_FIXED through koffi. What is written goes to the
 * file's pages, which the system may write back and drop when memory is short; all threads see the same. It lasts as long
 * as the memory does.
 *
 * Touching a page of which the disk has no block raises SIGBUS when the disk is full: so blocks are reserved before they
 * are used. A disk that fails later ends the process.
 */
import koffi from 'koffi';
import { addressOf } from './pages.ts';

const PROT_READ_WRITE = 3;
const MAP_SHARED_FIXED = 0x11;

const libc = koffi.load(null);
const mmapCall = libc.func(
  'uintptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int fd, long offset)',
);
const fallocateCall = libc.func('int posix_fallocate(int fd, long offset, long length)');

/** Puts the file's first `bytes` in the place of those at `first`, both as `wholePages` (pages.ts) gave them. 0 or −errno. */
export function mapFile(fd: number, u8: Uint8Array, first: number, bytes: number): number {
  const address = addressOf(u8) + first;
  const at = Number(mmapCall(address, bytes, PROT_READ_WRITE, MAP_SHARED_FIXED, fd, 0));
  return at === address ? 0 : -koffi.errno();
}

/** Makes sure that the disk has room for the file's bytes [start, end). 0 or −errno. */
export function reserveBlocks(fd: number, start: number, end: number): number {
  return end > start ? -fallocateCall(fd, start, end - start) : 0;
}
