/** Messages that came too early, kept in their order. They take no more room than the lanes they came through, for long. */
export type TakeMessage = (
  kind: number,
  u8: Uint8Array,
  u32: Uint32Array,
  f64: Float64Array,
  offset: number,
  length: number,
  lane: number,
) => void;

interface Message {
  readonly kind: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly length: number;
  readonly lane: number;
}

export class Deferred {
  #messages: Message[] = [];

  add(kind: number, u8: Uint8Array, offset: number, length: number, lane: number): void {
    // Whole words of 8 bytes, as a lane has them.
    const bytes = new Uint8Array((length + 7) & ~7);
    bytes.set(u8.subarray(offset, offset + length));
    this.#messages.push({ kind, bytes, length, lane });
  }

  /** Hands over all of them. What is added meanwhile is kept. */
  takeAll(take: TakeMessage): void {
    const messages = this.#messages;
    this.#messages = [];
    for (const { kind, bytes, length, lane } of messages) {
      take(kind, bytes, new Uint32Array(bytes.buffer), new Float64Array(bytes.buffer), 0, length, lane);
    }
  }
}
