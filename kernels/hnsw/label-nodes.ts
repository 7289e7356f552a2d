/**
 * Which node of a graph each label has. As long as the batch of a node is open it is only placed there, and its vector is in the
 * tail as well; afterwards it is linked. Labels are small numbers, used again (chunk-table.ts).
 */
const LABELS_MIN = 1024;

export class LabelNodes {
  /** By label: node + 1, negative when it is only placed; 0 = none. */
  #entries = new Int32Array(LABELS_MIN);
  #linked = 0;

  /** Labels whose node is linked. */
  get linked(): number {
    return this.#linked;
  }

  get bytes(): number {
    return this.#entries.byteLength;
  }

  /** −1 = none. */
  nodeOf(label: number): number {
    return Math.abs(this.#entries[label] ?? 0) - 1;
  }

  /** Whether the label has that node, and is not linked yet. */
  isPlaced(label: number, node: number): boolean {
    return this.#entries[label] === -(node + 1);
  }

  place(label: number, node: number): void {
    this.#set(label, -(node + 1));
  }

  link(label: number, node: number): void {
    this.#set(label, node + 1);
  }

  forget(label: number): void {
    this.#set(label, 0);
  }

  #set(label: number, entry: number): void {
    if (label >= this.#entries.length) {
      const entries = new Int32Array(Math.max(label + 1, 2 * this.#entries.length));
      entries.set(this.#entries);
      this.#entries = entries;
    }
    this.#linked += Number(entry > 0) - Number(this.#entries[label]! > 0);
    this.#entries[label] = entry;
  }
}
