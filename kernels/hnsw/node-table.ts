/**
 * A hash set of nodes, found by what the graph's memory holds of them: 4 bytes a slot, linear probing. Beside its node a slot has some
 * bits of the hash, so that few nodes are looked at which are not wanted. It grows in small steps, so that a
 * node takes 4.5 to 5.3 bytes, and twice that for a while after each: hashing every node again at once would take half a second for
 * a million, so each addition moves a few.
 */
import { assert } from '../../runtime/assert.ts';

const SLOTS_MIN = 64;
/** Of the slots so many are taken at most, and each step of growth is by this factor. */
const FULL = 0.9;
const GROWTH = 1.2;
/** Slots of the table before that an addition empties, and the rest of a run of taken ones: all are empty long before the next step. */
const SLOTS_PER_ADDITION = 16;

/** Low bits of a slot: its node + 1, 0 = empty. Above them are as many low bits of the hash, whose high ones say where it belongs. */
const NODE_BITS = 26;
const NODE_MASK = 2 ** NODE_BITS - 1;

type Slots = Uint32Array<ArrayBuffer>;
const NO_SLOTS: Slots = new Uint32Array(0);

export class NodeTable {
  #slots: Slots = new Uint32Array(SLOTS_MIN);
  /** Those before the last step of growth, as far as they are not empty yet. */
  #before: Slots = NO_SLOTS;
  /**
   * The next slot of {@link #before} to be emptied, and how many are left. It is the first of a run, so what is left is found
   * by probing.
   */
  #cursor = 0;
  #left = 0;
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
    return this.#slots.byteLength + this.#before.byteLength;
  }

  /** The node that is wanted, −1 when it is not there. */
  find(hash: number, wanted: number): number {
    const node = this.#findIn(this.#slots, hash, wanted);
    return node < 0 && this.#left > 0 ? this.#findIn(this.#before, hash, wanted) : node;
  }

  #findIn(slots: Slots, hash: number, wanted: number): number {
    const tag = entryOf(hash, -1) >>> NODE_BITS;
    for (let slot = homeOf(slots, hash); ; slot = after(slots, slot)) {
      const entry = slots[slot]!;
      if (entry === 0) return -1;
      if (entry >>> NODE_BITS === tag && this.#isWanted(nodeOf(entry), wanted)) return nodeOf(entry);
    }
  }

  /** Makes room for so many nodes at once: growing hashes each again. */
  reserve(nodes: number): void {
    const length = Math.ceil(nodes / FULL) + 1;
    if (length > this.#slots.length) this.#grow(length);
    while (this.#left > 0) this.#moveSome();
  }

  /** Adds a node that is not there. */
  add(hash: number, node: number): void {
    if (this.#size + 1 > this.#slots.length * FULL) this.#grow(Math.ceil(this.#slots.length * GROWTH));
    assert(node < NODE_MASK, 'the number of a node fits a slot');
    this.#size++;
    put(this.#slots, hash, node);
    if (this.#left > 0) this.#moveSome();
  }

  /** Removes a node that is there. */
  remove(hash: number, node: number): void {
    const slot = slotOf(this.#slots, hash, node);
    if (slot >= 0) this.#close(this.#slots, slot);
    else {
      const before = this.#left > 0 ? slotOf(this.#before, hash, node) : -1;
      assert(before >= 0, 'the node is in the table');
      this.#close(this.#before, before);
    }
    this.#size--;
  }

  /** What follows a slot that becomes empty moves up, so that there are no marks to skip. */
  #close(slots: Slots, emptied: number): void {
    let hole = emptied;
    for (let slot = after(slots, hole); slots[slot] !== 0; slot = after(slots, slot)) {
      const home = homeOf(slots, this.#hashOf(nodeOf(slots[slot]!)));
      if (distance(slots, home, slot) < distance(slots, hole, slot)) continue;
      slots[hole] = slots[slot]!;
      hole = slot;
    }
    slots[hole] = 0;
  }

  #grow(length: number): void {
    while (this.#left > 0) this.#moveSome();
    this.#before = this.#slots;
    this.#slots = new Uint32Array(length);
    this.#left = this.#before.length;
    this.#cursor = after(this.#before, this.#before.indexOf(0));
  }

  /** Whole runs of taken slots: what is left of the others is still found from its home on. */
  #moveSome(): void {
    const slots = this.#before;
    for (let moved = 0; this.#left > 0; moved++) {
      const entry = slots[this.#cursor]!;
      if (entry === 0 && moved >= SLOTS_PER_ADDITION) return;
      if (entry !== 0) put(this.#slots, this.#hashOf(nodeOf(entry)), nodeOf(entry));
      slots[this.#cursor] = 0;
      this.#cursor = after(slots, this.#cursor);
      this.#left--;
    }
    this.#before = NO_SLOTS;
  }
}

function nodeOf(entry: number): number {
  return (entry & NODE_MASK) - 1;
}

function entryOf(hash: number, node: number): number {
  return ((hash << NODE_BITS) | (node + 1)) >>> 0;
}

/** Where a node of this hash belongs: its highest bits say, so that the number of slots may be any. */
function homeOf(slots: Slots, hash: number): number {
  return Math.floor((hash >>> 0) * (slots.length / 2 ** 32));
}

function after(slots: Slots, slot: number): number {
  return slot + 1 === slots.length ? 0 : slot + 1;
}

/** Slots from one to the other, going up. */
function distance(slots: Slots, from: number, to: number): number {
  return to >= from ? to - from : to - from + slots.length;
}

function put(slots: Slots, hash: number, node: number): void {
  let slot = homeOf(slots, hash);
  while (slots[slot] !== 0) slot = after(slots, slot);
  slots[slot] = entryOf(hash, node);
}

/** −1 when the node is not among them. */
function slotOf(slots: Slots, hash: number, node: number): number {
  let slot = homeOf(slots, hash);
  const entry = entryOf(hash, node);
  while (slots[slot] !== entry) {
    if (slots[slot] === 0) return -1;
    slot = after(slots, slot);
  }
  return slot;
}
