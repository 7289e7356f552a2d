/**
 * Who is in whose graphs: the words by which the owner of graphs can be alone in them for a moment, and can tell that everybody
 * has been outside since.
 *
 * Roles: each shard owns its graphs; every other shard's thread enters them to search and to insert.
 *
 * Layout: a line (0 magic, 1 … 2 a number by which the threads of this mount find each other's channel); per shard a line with CLOSED;
 * per shard and other shard a line with USES.
 *
 * Invariants:
 * 1. USES of (owner, other) is odd while the other's thread is in a graph of the owner. Only that thread writes it; a successor
 *    of one that ended makes it even before anything else.
 * 2. The other raises USES and then looks at CLOSED; the owner stores CLOSED and then looks at USES (both are atomic, so in one order
 *    for all). So one of them sees the other: who finds CLOSED set leaves at once, and who finds all USES even after it has
 *    closed is alone.
 * 3. USES only grows: who was odd and is another number now has been outside.
 */
import { randomFillSync } from 'node:crypto';
import { assert } from '../runtime/assert.ts';
import { SHARED_LINE } from '../runtime/config/bounds.ts';
import type { Region } from '../runtime/memory/arena.ts';

const MAGIC = 0x524f4f44; // "DOOR"
const LINE = SHARED_LINE / 4;

export function planDoors(shards: number): number {
  return SHARED_LINE * (1 + shards + shards * shards);
}

export function formatDoors(region: Region, shards: number): void {
  assert(planDoors(shards) <= region.bytes, 'the doors fit their region');
  randomFillSync(region.u32, 1, 2);
  Atomics.store(region.u32, 0, MAGIC);
}

/** Of one shard's thread: into its own graphs and those of the others. */
export class GraphDoors {
  /** Of the channel by which the threads of this mount hand each other memory. */
  readonly channelName: string;
  readonly #i32: Int32Array;
  readonly #shards: number;
  readonly #self: number;

  constructor(region: Region, shards: number, self: number) {
    assert(region.u32[0] === MAGIC, 'the doors were formatted');
    this.#i32 = region.i32;
    this.#shards = shards;
    this.#self = self;
    this.channelName = `vexfs-graphs-${region.u32[1]}-${region.u32[2]}`;
    for (let owner = 0; owner < shards; owner++) {
      if (this.#isOdd(owner, self)) Atomics.add(this.#i32, this.#uses(owner, self), 1);
    }
    this.open();
  }

  /** Goes into the graphs of `owner`; false when that wants to be alone. */
  enter(owner: number): boolean {
    const uses = this.#uses(owner, this.#self);
    Atomics.add(this.#i32, uses, 1);
    if (Atomics.load(this.#i32, LINE * (1 + owner)) === 0) return true;
    Atomics.add(this.#i32, uses, 1);
    return false;
  }

  leave(owner: number): void {
    Atomics.add(this.#i32, this.#uses(owner, this.#self), 1);
  }

  /** Nobody enters this shard's graphs from now on. */
  close(): void {
    Atomics.store(this.#i32, LINE * (1 + this.#self), 1);
  }

  open(): void {
    Atomics.store(this.#i32, LINE * (1 + this.#self), 0);
  }

  isInside(other: number): boolean {
    return this.#isOdd(this.#self, other);
  }

  /** USES of all others at this moment. */
  mark(): Int32Array {
    return Int32Array.from({ length: this.#shards }, (_, other) =>
      Atomics.load(this.#i32, this.#uses(this.#self, other)),
    );
  }

  /** Whether the other has been outside since {@link mark}. */
  hasLeft(mark: Int32Array, other: number): boolean {
    const seen = mark[other]!;
    return (seen & 1) === 0 || Atomics.load(this.#i32, this.#uses(this.#self, other)) !== seen;
  }

  #isOdd(owner: number, other: number): boolean {
    return (Atomics.load(this.#i32, this.#uses(owner, other)) & 1) !== 0;
  }

  #uses(owner: number, other: number): number {
    return LINE * (1 + this.#shards + owner * this.#shards + other);
  }
}
