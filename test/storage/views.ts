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
