/**
 * One file under every operation on its bytes in random order, beside a copy of them in memory, as fsx does it: through
 * descriptors, through a mapping, cut, punched and copied. After each read, and at the end, both are the same.
 */

import koffi from 'koffi';
import { expect } from 'vitest';
import { ENOSYS, ENXIO, EOPNOTSUPP } from '../../runtime/errno.ts';
import { randomFrom } from '../seed.ts';
import * as c from './calls.ts';
import { done, O_CREAT, O_DIRECT, O_RDWR } from './place.ts';

const libc = koffi.load(null);
const copyFileRange = libc.func(
  'long copy_file_range(int from, int64_t *fromOffset, int to, int64_t *toOffset, size_t length, unsigned int flags)',
);

const PAGE = 4096;
const SECTOR = 4096;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const ZERO_RANGE = 16;

/** In memory that begins at a multiple of a sector. */
function aligned(length: number): Uint8Array {
  const bytes = new Uint8Array(length + SECTOR);
  const start = (SECTOR - Number(koffi.address(bytes) % BigInt(SECTOR))) % SECTOR;
  return bytes.subarray(start, start + length);
}

export class Exercise {
  readonly #path: string;
  readonly #copy: Uint8Array;
  readonly #next: () => number;
  #size = 0;
  #fd: number;
  /** What was done, for whoever has to find out why. */
  readonly log: string[] = [];

  /** Of a new file at `path` that never gets longer than `max` bytes. */
  constructor(path: string, max: number, seed: number) {
    this.#path = path;
    this.#copy = new Uint8Array(max);
    this.#next = randomFrom(seed);
    this.#fd = done(c.open(path, O_CREAT | O_RDWR, 0o644));
  }

  #below(n: number): number {
    return Math.floor(this.#next() * n);
  }

  /** An offset and a length within the largest file; short ranges are as likely as long ones. */
  #range(): [offset: number, length: number] {
    const max = this.#copy.length;
    const offset = this.#below(max - 1);
    const longest = Math.min(max - offset, this.#below(2) === 0 ? 5000 : max);
    return [offset, 1 + this.#below(longest)];
  }

  step(): void {
    const steps = [
      () => this.#write(),
      () => this.#write(),
      () => this.#read(),
      () => this.#read(),
      () => this.#truncate(),
      () => this.#allocate(),
      () => this.#punch(),
      () => this.#zero(),
      () => this.#copyRange(),
      () => this.#mapped(false),
      () => this.#mapped(true),
      () => this.#direct(false),
      () => this.#direct(true),
      () => this.#beyondEnd(),
      () => this.#holes(),
      () => done(c.fsync(this.#fd)),
      () => this.#reopen(),
    ];
    steps[this.#below(steps.length)]!();
    // Asking brings the filesystem up to date with what the kernel has done past it, so it is not always asked.
    if (this.#below(3) === 0) expect(Number(c.stat(this.#path).size), 'size').toBe(this.#size);
  }

  /** While nobody has the file open; its bytes are compared afterwards. */
  rest(meanwhile: () => void): void {
    this.#noted('rest');
    done(c.close(this.#fd));
    meanwhile();
    this.#fd = done(c.open(this.#path, O_RDWR));
    this.#compare(0, this.#size);
  }

  /** All bytes, through a descriptor of its own. */
  finish(): void {
    this.#reopen();
    this.#compare(0, this.#size);
    c.close(this.#fd);
  }

  #noted(what: string, ...numbers: readonly number[]): void {
    this.log.push(`${what} ${numbers.join(' ')}`);
  }

  #bytes(length: number): Uint8Array {
    const first = this.#below(256);
    return Uint8Array.from({ length }, (_, i) => (first + i * 7) & 0xff);
  }

  #put(offset: number, bytes: Uint8Array): void {
    this.#copy.set(bytes, offset);
    this.#size = Math.max(this.#size, offset + bytes.length);
  }

  #write(): void {
    const [offset, length] = this.#range();
    this.#noted('write', offset, length);
    const bytes = this.#bytes(length);
    expect(c.pwrite(this.#fd, bytes, length, offset)).toBe(length);
    this.#put(offset, bytes);
  }

  #read(): void {
    const [offset, length] = this.#range();
    this.#noted('read', offset, length);
    this.#compare(offset, length);
  }

  #compare(offset: number, length: number): void {
    const wanted = this.#copy.subarray(offset, Math.max(offset, Math.min(offset + length, this.#size)));
    const read = new Uint8Array(length);
    expect(c.pread(this.#fd, read, length, offset)).toBe(wanted.length);
    expect(Buffer.compare(read.subarray(0, wanted.length), wanted), `bytes from ${offset}`).toBe(0);
  }

  #truncate(): void {
    const size = this.#below(this.#copy.length);
    this.#noted('truncate', size);
    done(this.#below(2) === 0 ? c.ftruncate(this.#fd, size) : c.truncate(this.#path, size));
    this.#copy.fill(0, Math.min(size, this.#size));
    this.#size = size;
  }

  #allocate(): void {
    const [offset, length] = this.#range();
    const keep = this.#below(2) * KEEP_SIZE;
    this.#noted('allocate', offset, length, keep);
    done(c.fallocate(this.#fd, keep, offset, length));
    if (keep === 0) this.#size = Math.max(this.#size, offset + length);
  }

  #punch(): void {
    const [offset, length] = this.#range();
    this.#noted('punch', offset, length);
    done(c.fallocate(this.#fd, KEEP_SIZE | PUNCH_HOLE, offset, length));
    this.#copy.fill(0, offset, Math.min(offset + length, this.#size));
  }

  #zero(): void {
    const [offset, length] = this.#range();
    const keep = this.#below(2) * KEEP_SIZE;
    this.#noted('zero', offset, length, keep);
    done(c.fallocate(this.#fd, ZERO_RANGE | keep, offset, length));
    if (keep === 0) this.#size = Math.max(this.#size, offset + length);
    this.#copy.fill(0, offset, Math.min(offset + length, this.#size));
  }

  #copyRange(): void {
    const [from, length] = this.#range();
    const [to] = this.#range();
    const most = Math.min(length, Math.abs(from - to), this.#copy.length - to);
    if (most === 0) return;
    this.#noted('copy', from, to, most);
    const [fromOffset, toOffset] = [BigInt64Array.of(BigInt(from)), BigInt64Array.of(BigInt(to))];
    const copied = Number(copyFileRange(this.#fd, fromOffset, this.#fd, toOffset, most, 0));
    if (copied < 0) {
      expect([EOPNOTSUPP, ENOSYS]).toContain(koffi.errno());
      return;
    }
    expect(copied).toBeLessThanOrEqual(Math.max(0, Math.min(most, this.#size - from)));
    if (copied > 0) this.#put(to, this.#copy.slice(from, from + copied));
  }

  /** Reads or writes what lies on the pages of the file. */
  #mapped(writes: boolean): void {
    const [at, wanted] = this.#range();
    if (at >= this.#size) return;
    const length = Math.min(wanted, this.#size - at);
    this.#noted(writes ? 'map and write' : 'map and read', at, length);
    const start = at - (at % PAGE);
    const sync = this.#below(3) === 0;
    const mapped = c.withMapped(this.#fd, start, at + length - start, sync, (pages) => {
      const view = pages.subarray(at - start);
      const own = writes ? this.#bytes(length) : this.#copy.subarray(at, at + length);
      if (writes) view.set(own);
      else expect(Buffer.compare(view, own), `mapped from ${at}`).toBe(0);
      if (writes) this.#put(at, own);
    });
    expect(mapped).toBe(0);
  }

  /** Past the page cache, in whole sectors, as O_DIRECT wants them. */
  #direct(writes: boolean): void {
    const [from, wanted] = this.#range();
    const offset = from - (from % SECTOR);
    const most = Math.min(wanted + SECTOR, this.#copy.length - offset, this.#size - offset);
    const length = most - (most % SECTOR);
    if (length <= 0) return;
    this.#noted(writes ? 'write directly' : 'read directly', offset, length);
    const fd = done(c.open(this.#path, O_RDWR | O_DIRECT));
    const bytes = aligned(length);
    if (writes) {
      bytes.set(this.#bytes(length));
      expect(c.pwrite(fd, bytes, length, offset)).toBe(length);
      this.#put(offset, bytes);
    } else {
      expect(c.pread(fd, bytes, length, offset)).toBe(length);
      const wantedBytes = this.#copy.subarray(offset, offset + length);
      expect(Buffer.compare(bytes, wantedBytes), `bytes read directly from ${offset}`).toBe(0);
    }
    done(c.close(fd));
  }

  /** What a mapping writes behind the end of the file, in its last page, never becomes part of it. */
  #beyondEnd(): void {
    const used = this.#size % PAGE;
    if (used === 0) return;
    this.#noted('write behind the end', this.#size);
    const page = this.#size - used;
    expect(c.withMapped(this.#fd, page, PAGE, false, (bytes) => bytes.fill(0xee, used))).toBe(0);
  }

  /** Where the file says it has a hole, there are zeros. */
  #holes(): void {
    done(c.fsync(this.#fd));
    this.#noted('look for holes');
    for (let at = 0; at < this.#size; ) {
      const hole = done(c.lseek(this.#fd, at, SEEK_HOLE));
      if (hole >= this.#size) break;
      const data = c.lseek(this.#fd, hole, SEEK_DATA);
      at = data === -ENXIO ? this.#size : done(data);
      expect(
        this.#copy.subarray(hole, Math.min(at, this.#size)).every((byte) => byte === 0),
        `a hole from ${hole} to ${at}`,
      ).toBe(true);
    }
  }

  #reopen(): void {
    this.#noted('reopen');
    done(c.close(this.#fd));
    this.#fd = done(c.open(this.#path, O_RDWR));
  }
}
