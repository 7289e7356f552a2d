/**
 * Numbers of up to 16 bits, packed from the least significant bit on, without anything between them. Reader and writer
 * agree on how many bits each has.
 */

/** What a stream may take beyond its bits: the last word, and what the reader looks ahead. */
export const BIT_STREAM_SLACK = 4;

export class BitWriter {
  #u8: Uint8Array = new Uint8Array(0);
  #at = 0;
  #bits = 0;
  #filled = 0;

  /** Begins at u8[at]. The room must suffice for all that will be written, and {@link BIT_STREAM_SLACK}. */
  begin(u8: Uint8Array, at: number): void {
    this.#u8 = u8;
    this.#at = at;
    this.#bits = 0;
    this.#filled = 0;
  }

  write(value: number, width: number): void {
    this.#bits |= value << this.#filled;
    this.#filled += width;
    if (this.#filled < 16) return;
    this.#flush();
    this.#bits >>>= 16;
    this.#filled -= 16;
  }

  /** Returns where the stream ends. */
  end(): number {
    this.#flush();
    return this.#at;
  }

  #flush(): void {
    this.#u8[this.#at] = this.#bits;
    this.#u8[this.#at + 1] = this.#bits >>> 8;
    this.#at += 2;
  }
}

export class BitReader {
  #u8: Uint8Array = new Uint8Array(0);
  #at = 0;
  #limit = 0;
  #bits = 0;
  #filled = 0;
  #isShort = false;

  begin(u8: Uint8Array, at: number, limit: number): void {
    this.#u8 = u8;
    this.#at = at;
    this.#limit = limit;
    this.#bits = 0;
    this.#filled = 0;
    this.#isShort = false;
  }

  /** Whether more was read than there is; what was read beyond are zeros. */
  get isShort(): boolean {
    return this.#isShort;
  }

  read(width: number): number {
    if (this.#filled < width) this.#refill();
    const value = this.#bits & ((1 << width) - 1);
    this.#bits >>>= width;
    this.#filled -= width;
    return value;
  }

  #refill(): void {
    if (this.#at + 2 > this.#limit) this.#isShort = true;
    else this.#bits |= (this.#u8[this.#at]! | (this.#u8[this.#at + 1]! << 8)) << this.#filled;
    this.#at += 2;
    this.#filled += 16;
  }
}
