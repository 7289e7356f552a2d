/**
 * The namespace's shared tables as typed arrays, and the two locks over them.
 *
 * Roles. Writer: any thread, one at a time, holding `mutex`. Reader: any thread, at any time, without a lock.
 * Thread safety: each thread has its own instance (the fields that are not views are that thread's own).
 *
 * Invariants
 * 1. Table words and the slab blocks they refer to change only between sequence.writeBegin and writeEnd, with the
 *    mutex held. Exceptions: I_LOOKUPS and H_NEXT_OBJECT, which are atomic counters, and blocks nothing refers to yet.
 * 2. A slab block is freed only between writeBegin and writeEnd, after the last word that referred to it changed.
 * 3. A reader may see any mixture of words between {@link beginRead} and {@link endRead}. So every index it follows
 *    is checked against the table's size, every length against the slab's, every walk asks {@link torn} now and then;
 *    and what it found counts only if endRead says so.
 * 4. A reader never starves: after {@link OPTIMISTIC_READS} torn attempts it takes the mutex.
 * 5. A thread that ends with the mutex held, or with the sequence odd, leaves both so: nobody changes or reads what it
 *    may have left half done. wreck.ts says whether it did; survivors.ts is how the tables are made anew. Who may not
 *    wait for that (the main thread, which sees to it) reads single words only ({@link namespaceUse} in reader.ts).
 *
 * What each store publishes: writeEnd publishes a whole mutation to the readers; the mutex publishes it to the next
 * writer.
 */
import { assert } from '../../runtime/assert.ts';
import type { Arena } from '../../runtime/memory/arena.ts';
import type { SlabAllocator, SlabHandle } from '../../runtime/memory/slab.ts';
import { Mutex } from '../../runtime/sync/mutex.ts';
import { SequenceLock } from '../../runtime/sync/sequence-lock.ts';
import { DENTRY_BYTES, H_MAGIC, H_MUTEX, H_SEQUENCE, INODE_BYTES, NAMESPACE_MAGIC } from './layout.ts';
import { ReservedBlocks } from './reserve.ts';
import { AS_STORED, type ShownOwner } from './shown-owner.ts';

const OPTIMISTIC_READS = 50;

export class Tables {
  readonly header: Uint32Array;
  readonly headerI32: Int32Array;
  readonly headerU8: Uint8Array;
  readonly headerF64: Float64Array;
  /** Inode records: word I_X of inode n is `inode[n * INODE_WORDS + I_X]`; its f64 is at half that index. */
  readonly inode: Uint32Array;
  readonly inodeI32: Int32Array;
  readonly inodeF64: Float64Array;
  readonly dentry: Uint32Array;
  readonly dentryI32: Int32Array;
  readonly dentryU8: Uint8Array;
  readonly buckets: Uint32Array;
  /** Valid inode numbers and dentry slots are 1 … capacity − 1. */
  readonly inodeCapacity: number;
  readonly dentryCapacity: number;
  readonly bucketMask: number;
  readonly slab: SlabAllocator;
  /** The slab region's bytes and words. */
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly mutex: Mutex;
  readonly sequence: SequenceLock;

  /** Time of the mutation under way: what it stamps. */
  seconds = 0;
  nanoseconds = 0;
  /** Objects that nothing refers to any more, until their owner takes them. */
  readonly dropped: number[] = [];
  /** How this thread shows owners and permissions. */
  shown: ShownOwner = AS_STORED;

  /** Of a transaction of several changes: what its mutations take memory from first. */
  readonly reserved: ReservedBlocks;

  #locked = false;
  #seen = 0;

  constructor(arena: Arena, slab: SlabAllocator) {
    const header = arena.region('namespace');
    const inodes = arena.region('inodes');
    const dentries = arena.region('dentries');
    this.header = header.u32;
    this.headerI32 = header.i32;
    this.headerU8 = header.u8;
    this.headerF64 = header.f64;
    this.inode = inodes.u32;
    this.inodeI32 = inodes.i32;
    this.inodeF64 = inodes.f64;
    this.inodeCapacity = Math.floor(inodes.bytes / INODE_BYTES);
    this.dentry = dentries.u32;
    this.dentryI32 = dentries.i32;
    this.dentryU8 = dentries.u8;
    this.dentryCapacity = Math.floor(dentries.bytes / DENTRY_BYTES);
    this.buckets = arena.region('dentry-hash').u32;
    this.bucketMask = this.buckets.length - 1;
    assert((this.buckets.length & this.bucketMask) === 0, 'the number of hash buckets is a power of two');
    this.slab = slab;
    this.bytes = slab.u8;
    // Not with a shift: a slab of 4 GiB has more bytes than 32 bits can say.
    this.words = new Uint32Array(slab.u8.buffer, slab.u8.byteOffset, Math.floor(slab.u8.length / 4));
    this.reserved = new ReservedBlocks(slab);
    this.mutex = new Mutex(header.i32, H_MUTEX);
    this.sequence = new SequenceLock(header.i32, H_SEQUENCE);
  }

  /** A block for a mutation; 0 = no memory. */
  allocate(bytes: number, tag: number): SlabHandle {
    return this.reserved.take(bytes, tag) || this.slab.allocate(bytes, tag);
  }

  get formatted(): boolean {
    return this.header[H_MAGIC] === NAMESPACE_MAGIC;
  }

  lock(): void {
    this.mutex.lock();
    this.#locked = true;
  }

  unlock(): void {
    this.#locked = false;
    this.mutex.unlock();
  }

  /** What the mutation under way stamps; milliseconds since the epoch. */
  setTime(now: number): void {
    this.seconds = Math.floor(now / 1000);
    this.nanoseconds = Math.floor((now - this.seconds * 1000) * 1e6);
  }

  /** Starts the `attempt`th (from 0) try of a lock-free read. */
  beginRead(attempt: number): void {
    if (attempt < OPTIMISTIC_READS) this.#seen = this.sequence.readBegin();
    else this.lock();
  }

  /** Whether what was read since {@link beginRead} is consistent; if not, the caller forgets it and tries again. */
  endRead(): boolean {
    if (!this.#locked) return !this.sequence.readRetry(this.#seen);
    this.unlock();
    return true;
  }

  /**
   * Asked in each long walk: true once the tables changed under a reader, so that the walk is pointless. While it
   * is false the tables are consistent, and a walk over consistent tables ends.
   */
  torn(): boolean {
    return !this.#locked && this.sequence.readRetry(this.#seen);
  }

  /** Byte offset of a slab block in `bytes`, or −1 if `length` bytes from there would leave the slab (a torn read). */
  block(handle: SlabHandle, length: number): number {
    const at = handle * 64;
    return handle !== 0 && length >= 0 && at + length <= this.bytes.length ? at : -1;
  }
}
