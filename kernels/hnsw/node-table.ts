/**
 * A hash set of nodes, found by what the graph's memory holds of them: 4 bytes a slot, linear probing. It grows in small steps, so that a
 * node takes 5 to 6 bytes.
 */
import { assert } from '../../runtime/assert.ts';

const SLOTS_MIN = 64;
/** Of the slots so many are taken at most, and each step of growth is by this factor. */
const FULL = 0.8;
const GROWTH = 1.2;

export class NodeTable {
  /** Node + 1, 0 = empty. */
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

  /** Where a node of this hash belongs: its highest bits say, so that the number of slots may be any. */
  #homeOf(hash: number): number {
    return Math.floor((hash >>> 0) * (this.#slots.length / 2 ** 32));
  }

  #after(slot: number): number {
    return slot + 1 === this.#slots.length ? 0 : slot + 1;
  }

  /** The node that is wanted, −1 when it is not there. */
  find(hash: number, wanted: number): number {
    for (let slot = this.#homeOf(hash); ; slot = this.#after(slot)) {
      const node = this.#slots[slot]! - 1;
      if (node < 0 || this.#isWanted(node, wanted)) return node;
    }
  }

  /** Makes room for so many nodes at once: growing hashes each again. */
  reserve(nodes: number): void {
    const length = Math.ceil(nodes / FULL) + 1;
    if (length > this.#slots.length) this.#resize(length);
  }

  /** Adds a node that is not there. */
  add(hash: number, node: number): void {
    if (this.#size + 1 > this.#slots.length * FULL) this.#resize(Math.ceil(this.#slots.length * GROWTH));
    this.#size++;
    this.#put(hash, node);
  }

  /** Removes a node that is there. What follows it moves up, so that there are no marks to skip. */
  remove(hash: number, node: number): void {
    const slots = this.#slots;
    let hole = this.#homeOf(hash);
    for (; slots[hole] !== node + 1; hole = this.#after(hole))
      assert(slots[hole] !== 0, 'the node is in the table');
    for (let slot = this.#after(hole); slots[slot] !== 0; slot = this.#after(slot)) {
      const home = this.#homeOf(this.#hashOf(slots[slot]! - 1));
      if (this.#distance(home, slot) < this.#distance(hole, slot)) continue;
      slots[hole] = slots[slot]!;
      hole = slot;
    }
    slots[hole] = 0;
    this.#size--;
  }

  /** Slots from one to the other, going up. */
  #distance(from: number, to: number): number {
    return to >= from ? to - from : to - from + this.#slots.length;
  }

  /** Of all nodes, in no order; none may be added or removed meanwhile. */
  forEach(each: (node: number) => void): void {
    for (const entry of this.#slots) if (entry !== 0) each(entry - 1);
  }

  #put(hash: number, node: number): void {
    let slot = this.#homeOf(hash);
    while (this.#slots[slot] !== 0) slot = this.#after(slot);
    this.#slots[slot] = node + 1;
  }

  #resize(length: number): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(length);
    for (const entry of before) if (entry !== 0) this.#put(this.#hashOf(entry - 1), entry - 1);
  }
}
