/**
 * The virtual tree's nodes that have content: text files frozen at their lookup and directories of search results,
 * in the region 'virtual'. Their bytes are blobs in the slab.
 *
 * Roles: any thread may allocate, count and read. Layout: one header of 64 bytes, then slots of 64 bytes, 1-based.
 * 1. STATE goes FREE → FILLING (by compare-and-exchange: the winner owns the slot) → TEXT or RESULTS → FREE.
 *    The store that leaves FILLING publishes all other columns; they do not change before FREE.
 * 2. LOOKUPS counts the kernel's references to the slot's node and to its links together. It is 1 when the slot
 *    is published (for the reply that is about to be sent) and only rises from a value above 0.
 * 3. Whoever takes LOOKUPS to 0 frees the blob and then stores FREE. A node id the kernel holds is therefore
 *    always live; readers on behalf of the kernel need no further protection.
 * 4. GENERATION rises with each use of a slot: (node id, generation) is unique while the filesystem is mounted.
 * 5. EPOCH (header) rises whenever a search might give another answer. Results are shared between lookups only
 *    within one epoch, so a search that starts after a change sees it.
 *
 * All-zero memory is a valid, empty table.
 */
import { assert } from '../../runtime/assert.ts';
import { ENFILE, ENOSPC } from '../../runtime/errno.ts';
import type { Arena, RegionPlan } from '../../runtime/memory/arena.ts';
import type { SlabAllocator } from '../../runtime/memory/slab.ts';
import type { Attr } from '../protocol/attr.ts';

const REGION = 'virtual';
const SLOT_WORDS = 16;

/** Words of the header. */
const HINT = 0;
const EPOCH = 1;

export const FREE = 0;
export const FILLING = 1;
export const TEXT = 2;
export const RESULTS = 3;

/** Columns: words of a slot. */
export const STATE = 0;
export const GENERATION = 1;
export const LOOKUPS = 2;
export const BLOB = 3;
export const BLOB_BYTES = 4;
export const UID = 5;
export const GID = 6;
/** Of RESULTS: the epoch the search began in, what was asked, under which directory, how many links. */
export const SLOT_EPOCH = 7;
export const QUERY_HASH = 8;
export const QUERY_KIND = 9;
export const PARENT_LO = 10;
export const PARENT_HI = 11;
export const LINKS = 12;
/** Time of creation, a double of milliseconds since 1970 over two words. */
const TIME = 14;

/** The region for at most `maxNodes` nodes alive at once. */
export function planVirtual(maxNodes: number): RegionPlan {
  return { name: REGION, bytes: (1 + maxNodes) * SLOT_WORDS * 4 };
}

export class NodeTable {
  /** The slab's bytes, in which a blob begins at {@link blobAt}. */
  readonly u8: Uint8Array;
  readonly #slab: SlabAllocator;
  readonly #i32: Int32Array;
  readonly #u32: Uint32Array;
  readonly #f64: Float64Array;
  readonly #capacity: number;

  constructor(arena: Arena, slab: SlabAllocator) {
    const region = arena.region(REGION);
    this.u8 = slab.u8;
    this.#slab = slab;
    this.#i32 = region.i32;
    this.#u32 = region.u32;
    this.#f64 = region.f64;
    this.#capacity = Math.floor(region.bytes / (SLOT_WORDS * 4)) - 1;
  }

  get epoch(): number {
    return Atomics.load(this.#u32, EPOCH);
  }

  /** A search begun from now on may answer differently. */
  advanceEpoch(): void {
    Atomics.add(this.#u32, EPOCH, 1);
  }

  /** A FILLING slot with a blob of `bytes` and the next generation, or −ENFILE (no slot), −ENOSPC (no memory). */
  allocate(bytes: number, uid: number, gid: number, now: number): number {
    const slot = this.#claim();
    if (slot === 0) return -ENFILE;
    const blob = this.#slab.allocate(Math.max(bytes, 1));
    if (blob === 0) {
      Atomics.store(this.#i32, slot * SLOT_WORDS + STATE, FREE);
      return -ENOSPC;
    }
    this.set(slot, GENERATION, this.get(slot, GENERATION) + 1);
    this.set(slot, BLOB, blob);
    this.set(slot, BLOB_BYTES, bytes);
    this.set(slot, UID, uid);
    this.set(slot, GID, gid);
    this.#f64[(slot * SLOT_WORDS + TIME) >>> 1] = now;
    return slot;
  }

  /** Ends FILLING: the slot is visible, with one lookup for the reply that carries it. */
  publish(slot: number, state: typeof TEXT | typeof RESULTS): void {
    this.set(slot, LOOKUPS, 1);
    Atomics.store(this.#i32, slot * SLOT_WORDS + STATE, state);
  }

  /** One more lookup of a slot seen live; false when it has just been freed. */
  acquire(slot: number): boolean {
    const word = slot * SLOT_WORDS + LOOKUPS;
    for (let seen = Atomics.load(this.#i32, word); seen > 0; ) {
      const was = Atomics.compareExchange(this.#i32, word, seen, seen + 1);
      if (was === seen) return true;
      seen = was;
    }
    return false;
  }

  /** The kernel gave back `count` lookups (fewer are taken when it claims more than it had). */
  release(slot: number, count: number): void {
    if (!this.isLive(slot)) return;
    const word = slot * SLOT_WORDS + LOOKUPS;
    for (let seen = Atomics.load(this.#i32, word); seen > 0; ) {
      const left = Math.max(seen - count, 0);
      const was = Atomics.compareExchange(this.#i32, word, seen, left);
      if (was === seen) {
        if (left === 0) this.#free(slot);
        return;
      }
      seen = was;
    }
  }

  isLive(slot: number): boolean {
    if (slot < 1 || slot > this.#capacity) return false;
    return Atomics.load(this.#i32, slot * SLOT_WORDS + STATE) >= TEXT;
  }

  /** A live slot of RESULTS that `matches`, with one more lookup, or 0. */
  find(hash: number, matches: (slot: number) => boolean): number {
    for (let slot = 1; slot <= this.#capacity; slot++) {
      if (this.#u32[slot * SLOT_WORDS + QUERY_HASH] !== hash || this.get(slot, STATE) !== RESULTS) continue;
      if (!matches(slot) || !this.acquire(slot)) continue;
      if (this.get(slot, STATE) === RESULTS && matches(slot)) return slot;
      this.release(slot, 1);
    }
    return 0;
  }

  get(slot: number, column: number): number {
    return this.#u32[slot * SLOT_WORDS + column]!;
  }

  set(slot: number, column: number, value: number): void {
    this.#u32[slot * SLOT_WORDS + column] = value;
  }

  /** What all nodes have in common: the time they were made, no device, no blocks of a disk. */
  stamp(slot: number, out: Attr): void {
    const milliseconds = this.#f64[(slot * SLOT_WORDS + TIME) >>> 1]!;
    const seconds = Math.floor(milliseconds / 1000);
    out.atime = out.mtime = out.ctime = seconds;
    out.atimeNs = out.mtimeNs = out.ctimeNs = Math.floor((milliseconds - seconds * 1000) * 1e6);
    out.rdev = 0;
    out.blocks = 0;
    out.blksize = 4096;
  }

  /** Byte offset of the slot's blob in {@link u8}. */
  blobAt(slot: number): number {
    return this.get(slot, BLOB) * 64;
  }

  /** Nodes alive, for statistics and tests. */
  live(): number {
    let live = 0;
    for (let slot = 1; slot <= this.#capacity; slot++) if (this.get(slot, STATE) !== FREE) live++;
    return live;
  }

  #claim(): number {
    const from = Atomics.load(this.#u32, HINT);
    for (let i = 0; i < this.#capacity; i++) {
      const slot = ((from + i) % this.#capacity) + 1;
      const word = slot * SLOT_WORDS + STATE;
      if (Atomics.load(this.#i32, word) !== FREE) continue;
      if (Atomics.compareExchange(this.#i32, word, FREE, FILLING) !== FREE) continue;
      Atomics.store(this.#u32, HINT, slot % this.#capacity);
      return slot;
    }
    return 0;
  }

  #free(slot: number): void {
    assert(this.get(slot, BLOB) !== 0, 'a live node has a blob');
    this.#slab.free(this.get(slot, BLOB));
    this.set(slot, BLOB, 0);
    this.set(slot, QUERY_HASH, 0);
    Atomics.store(this.#i32, slot * SLOT_WORDS + STATE, FREE);
  }
}
