/** The fsync requests that wait: a ring of four u32 each that doubles when it is full. */
const WORDS = 4;

export class SyncQueue {
  length = 0;
  #words = new Uint32Array(64 * WORDS);
  #first = 0;

  /** Of the oldest request. */
  get uniqueLo(): number {
    return this.#words[this.#first * WORDS]!;
  }

  get uniqueHi(): number {
    return this.#words[this.#first * WORDS + 1]!;
  }

  /** Journal position that must be durable before the answer. */
  get position(): number {
    return this.#words[this.#first * WORDS + 2]!;
  }

  /** Where the request waits (actors/pending.ts). */
  get slot(): number {
    return this.#words[this.#first * WORDS + 3]!;
  }

  push(uniqueLo: number, uniqueHi: number, position: number, slot = 0): void {
    if (this.length * WORDS === this.#words.length) this.#grow();
    const capacity = this.#words.length / WORDS;
    const at = ((this.#first + this.length) % capacity) * WORDS;
    this.#words[at] = uniqueLo;
    this.#words[at + 1] = uniqueHi;
    this.#words[at + 2] = position;
    this.#words[at + 3] = slot;
    this.length++;
  }

  shift(): void {
    this.#first = (this.#first + 1) % (this.#words.length / WORDS);
    this.length--;
  }

  #grow(): void {
    const old = this.#words;
    const words = new Uint32Array(old.length * 2);
    words.set(old.subarray(this.#first * WORDS));
    words.set(old.subarray(0, this.#first * WORDS), old.length - this.#first * WORDS);
    this.#words = words;
    this.#first = 0;
  }
}
