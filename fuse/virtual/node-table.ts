/**
 * The virtual tree's nodes that have content: text files frozen at their lookup and directories of search results,
 * in the region 'virtual'. Their bytes are blobs in the slab.
 *
 * The kernel keeps what it looked up until it needs the memory, even names it may not trust for an instant. So nodes
 * do not wait for its FORGET when they are needed: the oldest is evicted, and its id is never seen again.
 *
 * Roles: any thread may allocate, count and read. Layout: one header of 64 bytes, then slots of 64 bytes, 1-based.
 * A node's id is its slot in the low SLOT_BITS and its generation, modulo what is left of 32 bits, above.
 * 1. STATE goes FREE → owned (by compare-and-exchange: −1 − the thread's id, so a slot says whose it is) → TEXT,
 *    RESULTS or QUERY → owned → FREE. The store that leaves `owned` publishes all other columns; they do not change before
 *    the slot is owned again, but for QUERY_BYTES, one word, which says what the indexer has of a query file.
 * 2. Who reads a node pins it: PINS + 1, then a look at STATE and id. Who frees it makes STATE its own, then looks at
 *    PINS, and puts STATE back if somebody has pinned. One of the two sees the other; so a pinned node stays.
 * 3. LOOKUPS counts the kernel's references to the node and to its links together. It is 1 when the node is
 *    published (for the reply that is about to be sent) and only rises from a value above 0. At 0 the node is freed.
 * 4. GENERATION rises with each use of a slot, so lookups that the kernel gives back late, after an eviction, name
 *    an id that is gone and count for nothing.
 * 5. EPOCH (header) rises whenever a search might give another answer. Results are shared between lookups only
 *    within one epoch, so a search that starts after a change sees it.
 *
 * 6. A thread that ends leaves nobody waiting: no state here is waited for. What it owned, {@link abandonNodes} frees;
 *    a blob of it that nothing refers to is lost until the slab is made anew. A node it had pinned stays until then.
 *
 * All-zero memory is a valid, empty table.
 */
import { threadId } from 'node:worker_threads';
import { assert } from '../../runtime/assert.ts';
import { RESULT_NODES_MAX } from '../../runtime/config/bounds.ts';
import { ENFILE, ENOSPC } from '../../runtime/errno.ts';
import type { Arena, RegionPlan } from '../../runtime/memory/arena.ts';
import type { SlabAllocator, SlabHandle } from '../../runtime/memory/slab.ts';
import type { Attr } from '../protocol/attr.ts';
import { TAG_RESULTS, TAG_TEXT } from '../slab-tags.ts';

const REGION = 'virtual';
const SLOT_WORDS = 16;

/** Words of the header. */
const HINT = 0;
const EPOCH = 1;

export const FREE = 0;
export const TEXT = 2;
export const RESULTS = 3;
export const QUERY = 4;

/** Columns: words of a slot. */
export const STATE = 0;
export const GENERATION = 1;
const LOOKUPS = 2;
export const BLOB = 3;
export const BLOB_BYTES = 4;
export const UID = 5;
export const GID = 6;
/** Threads that read the node. */
const PINS = 13;
/** Of RESULTS: the epoch the search began in, what was asked, which process asked, under which directory, how many links. */
export const SLOT_EPOCH = 7;
export const QUERY_HASH = 8;
export const PID = 9;
export const PARENT_LO = 10;
export const PARENT_HI = 11;
export const LINKS = 12;
/** Of QUERY, changed while the node is used: bytes of what was written and answered so far. */
export const QUERY_BYTES = 7;
/** Time of creation, a double of milliseconds since 1970 over two words. */
const TIME = 14;

const SLOT_BITS = 13;
const SLOT_MASK = 2 ** SLOT_BITS - 1;
assert(RESULT_NODES_MAX <= SLOT_MASK, 'a slot number fits its bits');
/** Only nodes this old are evicted, milliseconds: what was just looked up is about to be used. */
const EVICTABLE_MS = 1000;

/** The region for at most `maxNodes` nodes alive at once: 1 … 8,191. */
export function planVirtual(maxNodes: number): RegionPlan {
  assert(maxNodes >= 1 && maxNodes <= SLOT_MASK, 'a slot number fits its bits');
  return { name: REGION, bytes: (1 + maxNodes) * SLOT_WORDS * 4 };
}

/** STATE of a slot that thread `id` (Node's) fills or frees. */
function ownedBy(id: number): number {
  return -1 - id;
}

const OWNED_HERE = ownedBy(threadId);

/** For whoever knows that thread `dead` has ended: frees the slots it was filling or freeing. How many. */
export function abandonNodes(arena: Arena, dead: number): number {
  const { i32 } = arena.region(REGION);
  let freed = 0;
  for (let at = SLOT_WORDS; at + SLOT_WORDS <= i32.length; at += SLOT_WORDS) {
    // One that is pinned by a reader must not be filled anew: it is left as it is.
    if (Atomics.load(i32, at + STATE) !== ownedBy(dead) || Atomics.load(i32, at + PINS) !== 0) continue;
    empty(i32, at);
    freed++;
  }
  return freed;
}

/** For whoever knows that every thread that used the table has ended: no node is left, and no id so far is valid. */
export function resetNodes(arena: Arena): void {
  const { i32 } = arena.region(REGION);
  for (let at = SLOT_WORDS; at + SLOT_WORDS <= i32.length; at += SLOT_WORDS) {
    i32[at + PINS] = 0;
    if (Atomics.load(i32, at + STATE) !== FREE) empty(i32, at);
  }
  Atomics.add(i32, EPOCH, 1);
}

/** GENERATION rises, so that an id from before names nothing, whether the slot had got as far as the next one or not. */
function empty(i32: Int32Array, at: number): void {
  i32[at + GENERATION]!++;
  i32[at + LOOKUPS] = 0;
  i32[at + BLOB] = 0;
  i32[at + QUERY_HASH] = 0;
  Atomics.store(i32, at + STATE, FREE);
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

  /** A slot of one's own with a blob of `bytes` for `tag` and the next generation, or −ENFILE (no slot), −ENOSPC (no memory). */
  allocate(bytes: number, tag: number, uid: number, gid: number, now: number): number {
    let slot = this.#claim();
    if (slot === 0 && this.#evictOldest(now)) slot = this.#claim();
    if (slot === 0) return -ENFILE;
    const blob = this.#slab.allocate(Math.max(bytes, 1), tag);
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

  /** Gives the slot to all: the node is visible, with one lookup for the reply that carries it. */
  publish(slot: number, state: typeof TEXT | typeof RESULTS | typeof QUERY): void {
    this.set(slot, LOOKUPS, 1);
    Atomics.store(this.#i32, slot * SLOT_WORDS + STATE, state);
  }

  /** Low word of the node id of what is in a slot. */
  idOf(slot: number): number {
    return ((this.get(slot, GENERATION) << SLOT_BITS) | slot) >>> 0;
  }

  /** The slot of a node that is alive, which then stays so until {@link unpin}; 0 = there is no such node. */
  pin(id: number): number {
    const slot = id & SLOT_MASK;
    if (slot < 1 || slot > this.#capacity) return 0;
    const at = slot * SLOT_WORDS;
    Atomics.add(this.#i32, at + PINS, 1);
    if (Atomics.load(this.#i32, at + STATE) >= TEXT && this.idOf(slot) === id) return slot;
    this.unpin(slot);
    return 0;
  }

  unpin(slot: number): void {
    Atomics.sub(this.#i32, slot * SLOT_WORDS + PINS, 1);
  }

  /** One more lookup of a pinned node; false when the kernel has just given back the last. */
  acquire(slot: number): boolean {
    const word = slot * SLOT_WORDS + LOOKUPS;
    for (let seen = Atomics.load(this.#i32, word); seen > 0; ) {
      const was = Atomics.compareExchange(this.#i32, word, seen, seen + 1);
      if (was === seen) return true;
      seen = was;
    }
    return false;
  }

  /** The kernel gave back `count` lookups (no more are taken than there are). */
  release(id: number, count: number): void {
    const slot = this.pin(id);
    if (slot === 0) return;
    const word = slot * SLOT_WORDS + LOOKUPS;
    let left = 1;
    for (let seen = Atomics.load(this.#i32, word); seen > 0; ) {
      left = Math.max(seen - count, 0);
      const was = Atomics.compareExchange(this.#i32, word, seen, left);
      if (was === seen) break;
      seen = was;
    }
    this.unpin(slot);
    // Should somebody have it pinned, it is left to an eviction.
    if (left === 0) this.#free(slot, id);
  }

  /** A node of RESULTS made since `oldest` that `matches`, with one more lookup: its slot, pinned, or 0. */
  find(hash: number, oldest: number, matches: (slot: number) => boolean): number {
    for (let slot = 1; slot <= this.#capacity; slot++) {
      if (this.#u32[slot * SLOT_WORDS + QUERY_HASH] !== hash || this.#time(slot) < oldest) continue;
      if (this.pin(this.idOf(slot)) === 0) continue;
      if (this.get(slot, STATE) === RESULTS && matches(slot) && this.acquire(slot)) return slot;
      this.unpin(slot);
    }
    return 0;
  }

  get(slot: number, column: number): number {
    return this.#u32[slot * SLOT_WORDS + column]!;
  }

  set(slot: number, column: number, value: number): void {
    this.#u32[slot * SLOT_WORDS + column] = value;
  }

  /** A column that changes while others read it. */
  load(slot: number, column: number): number {
    return Atomics.load(this.#u32, slot * SLOT_WORDS + column);
  }

  store(slot: number, column: number, value: number): void {
    Atomics.store(this.#u32, slot * SLOT_WORDS + column, value);
  }

  /** What all nodes have in common: the time they were made, no device, no blocks of a disk. */
  stamp(slot: number, out: Attr): void {
    setTimes(out, this.#time(slot));
    out.rdev = 0;
    out.blocks = 0;
    out.blksize = 4096;
  }

  /** Byte offset of the slot's blob in {@link u8}. */
  blobAt(slot: number): number {
    return this.get(slot, BLOB) * 64;
  }

  /** Every blob in use; as of any moment while other threads go on. */
  slabHandles(visit: (handle: SlabHandle, tag: number) => void): void {
    for (let slot = 1; slot <= this.#capacity; slot++) {
      if (this.get(slot, BLOB) === 0) continue;
      visit(this.get(slot, BLOB), this.get(slot, STATE) === RESULTS ? TAG_RESULTS : TAG_TEXT);
    }
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
      if (Atomics.compareExchange(this.#i32, word, FREE, OWNED_HERE) !== FREE) continue;
      Atomics.store(this.#u32, HINT, slot % this.#capacity);
      return slot;
    }
    return 0;
  }

  #time(slot: number): number {
    return this.#f64[(slot * SLOT_WORDS + TIME) >>> 1]!;
  }

  #evictOldest(now: number): boolean {
    let oldest = 0;
    let time = now - EVICTABLE_MS;
    for (let slot = 1; slot <= this.#capacity; slot++) {
      // Signed: a slot that somebody owns is below all. Whether it is so still, #free looks again.
      if (this.#i32[slot * SLOT_WORDS + STATE]! < TEXT || this.#time(slot) > time) continue;
      oldest = slot;
      time = this.#time(slot);
    }
    return oldest !== 0 && this.#free(oldest, this.idOf(oldest));
  }

  /** Frees a node unless it is pinned, or no longer the one with this id. */
  #free(slot: number, id: number): boolean {
    const word = slot * SLOT_WORDS + STATE;
    const state = Atomics.load(this.#i32, word);
    if (state < TEXT || Atomics.compareExchange(this.#i32, word, state, OWNED_HERE) !== state) return false;
    if (this.idOf(slot) !== id || Atomics.load(this.#i32, slot * SLOT_WORDS + PINS) !== 0) {
      Atomics.store(this.#i32, word, state);
      return false;
    }
    assert(this.get(slot, BLOB) !== 0, 'a live node has a blob');
    this.#slab.free(this.get(slot, BLOB));
    this.set(slot, BLOB, 0);
    this.set(slot, QUERY_HASH, 0);
    Atomics.store(this.#i32, word, FREE);
    return true;
  }
}

/** Makes `milliseconds` since the epoch the node's every time. */
export function setTimes(out: Attr, milliseconds: number): void {
  const seconds = Math.floor(milliseconds / 1000);
  out.atime = out.mtime = out.ctime = seconds;
  out.atimeNs = out.mtimeNs = out.ctimeNs = Math.floor((milliseconds - seconds * 1000) * 1e6);
}
