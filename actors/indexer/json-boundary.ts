const SPACE = new Set([0x20, 0x09, 0x0a, 0x0d]);
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = new Set([0x7b, 0x5b]);
const CLOSE = new Set([0x7d, 0x5d]);
const COMMA = 0x2c;

/**
 * Finds where a JSON object ends in bytes that come piece by piece. It follows brackets and strings only; whether what is
 * between them is JSON, its parser says.
 */
export class JsonBoundary {
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #values = 0;

  /** Values in the object so far, give or take those in empty brackets. */
  get values(): number {
    return this.#values;
  }

  /** Whether an object has begun and not ended. */
  get isWithin(): boolean {
    return this.#depth > 0;
  }

  /**
   * Takes the bytes from `at` on: the index after the object that ends in them, `bytes.length` when none does, or −1 when
   * what begins there is no object.
   */
  take(bytes: Uint8Array, at: number): number {
    for (let i = at; i < bytes.length; i++) {
      const byte = bytes[i]!;
      if (this.#isInString) this.#takeInString(byte);
      else if (byte === QUOTE && this.#depth > 0) this.#isInString = true;
      else if (OPEN.has(byte)) this.#begin();
      else if (CLOSE.has(byte) && this.#depth > 0) {
        this.#depth--;
        if (this.#depth === 0) return i + 1;
      } else if (this.#depth === 0 && !SPACE.has(byte)) return -1;
      else if (byte === COMMA) this.#values++;
    }
    return bytes.length;
  }

  #begin(): void {
    this.#values = this.#depth === 0 ? 1 : this.#values + 1;
    this.#depth++;
  }

  #takeInString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) this.#isInString = false;
  }
}
