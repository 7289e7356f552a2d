/**
 * A hash set of nodes, found by what the graph's memory holds of them: 4 bytes a slot, linear probing, at most three quarters full.
 */
import { assert } from '../../runtime/assert.ts';

const SLOTS_MIN = 64;

export class NodeTable {
  /** Node + 1, 0 = empty. A power of two. */
  #slots = new Uint32Array(SLOTS_MIN);
  #size = 0;
  readonly #hashOf: (node: number) => number;
  readonly #isWanted: (node: number, wanted: number) => boolean;

  /** `hashOf` is of 32 bits; `isWanted` tells what {@link find} looks for among nodes of the same hash. */
  constructor(hashOf: (node: number) => number, isWanted: (node: number, wanted: number) => boolean) {
    this.#hashOf = hashOf;
    this.#isWanted = isWanted;
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#slots.byteLength;
  }

  /** The node that is wanted, −1 when it is not there. */
  find(hash: number, wanted: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const node = this.#slots[slot]! - 1;
      if (node < 0 || this.#isWanted(node, wanted)) return node;
    }
  }

  /** Makes room for so many nodes at once: growing hashes each again. */
  reserve(nodes: number): void {
    let length = this.#slots.length;
    while (nodes * 4 > length * 3) length *= 2;
    if (length > this.#slots.length) this.#resize(length);
  }

  /** Adds a node that is not there. */
  add(hash: number, node: number): void {
    if ((this.#size + 1) * 4 > this.#slots.length * 3) this.#resize(this.#slots.length * 2);
    this.#size++;
    this.#put(hash, node);
  }

  /** Removes a node that is there. What follows it moves up, so that there are no marks to skip. */
  remove(hash: number, node: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = hash & mask;
    for (; slots[hole] !== node + 1; hole = (hole + 1) & mask)
      assert(slots[hole] !== 0, 'the node is in the table');
    for (let slot = (hole + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.#hashOf(slots[slot]! - 1) & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      slots[hole] = slots[slot]!;
      hole = slot;
    }
    slots[hole] = 0;
    this.#size--;
  }

  /** Of all nodes, in no order; none may be added or removed meanwhile. */
  forEach(each: (node: number) => void): void {
    for (const entry of this.#slots) if (entry !== 0) each(entry - 1);
  }

  #put(hash: number, node: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = node + 1;
  }

  #resize(length: number): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(length);
    for (const entry of before) if (entry !== 0) this.#put(this.#hashOf(entry - 1), entry - 1);
  }
}
