import type { JournalRegion } from '../../runtime/storage/journal-ring.ts';

/** A region by itself, over shared memory. */
export function viewsOf(buffer: SharedArrayBuffer): JournalRegion & { buffer: SharedArrayBuffer } {
  return {
    buffer,
    bytes: buffer.byteLength,
    u8: new Uint8Array(buffer),
    u32: new Uint32Array(buffer),
    i32: new Int32Array(buffer),
    f64: new Float64Array(buffer),
  };
}

export function sharedRegion(bytes: number): JournalRegion & { buffer: SharedArrayBuffer } {
  return viewsOf(new SharedArrayBuffer(bytes));
}

/** A small repeatable generator (mulberry32): returns numbers in [0, bound). */
export function seeded(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  };
}
