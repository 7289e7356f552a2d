/**
 * The arena: one SharedArrayBuffer, reserved at start, cut into named regions that every thread can find.
 *
 * Roles: one thread creates it before any other sees the buffer; any thread attaches afterwards.
 * Thread safety: the directory is written once, before the buffer is handed over, and only read later.
 *
 * Layout: u32 magic, u32 version, u32 region count, u32 zero; then per region an entry of 64 bytes: the name
 * (48 bytes, ASCII, zero-padded), f64 offset, f64 bytes. Regions follow in the order of the plan.
 *
 * Invariants:
 * 1. A region starts at a multiple of REGION_ALIGN and its size is a multiple of 8; regions never overlap.
 * 2. Memory that nobody has touched is zero and occupies nothing.
 */
import { assert } from '../assert.ts';
import { REGION_ALIGN, REGION_NAME_MAX } from '../config/bounds.ts';

export interface RegionPlan {
  /** 1 … 48 printable ASCII characters, unique in the arena. */
  readonly name: string;
  /** Rounded up to a multiple of 8. */
  readonly bytes: number;
}

/** A named part of the arena; the views cover just the region, so index 0 is its first byte or word. */
export interface Region {
  readonly name: string;
  readonly bytes: number;
  /** Byte offset in the arena's buffer. */
  readonly offset: number;
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
}

const MAGIC = 0x41584556; // "VEXA"
const VERSION = 1;
const HEADER_BYTES = 16;
const ENTRY_BYTES = 64;
const ENTRY_OFFSET_AT = REGION_NAME_MAX;
const ENTRY_BYTES_AT = REGION_NAME_MAX + 8;

export class Arena {
  readonly buffer: SharedArrayBuffer;
  readonly #entries = new Map<string, { offset: number; bytes: number }>();
  readonly #regions = new Map<string, Region>();

  private constructor(buffer: SharedArrayBuffer) {
    const view = new DataView(buffer);
    assert(view.getUint32(0, true) === MAGIC && view.getUint32(4, true) === VERSION, 'not an arena');
    this.buffer = buffer;
    const count = view.getUint32(8, true);
    for (let i = 0; i < count; i++) {
      const entry = HEADER_BYTES + i * ENTRY_BYTES;
      let name = '';
      for (let c = 0; c < REGION_NAME_MAX; c++) {
        const code = view.getUint8(entry + c);
        if (code === 0) break;
        name += String.fromCharCode(code);
      }
      const offset = view.getFloat64(entry + ENTRY_OFFSET_AT, true);
      const bytes = view.getFloat64(entry + ENTRY_BYTES_AT, true);
      assert(offset + bytes <= buffer.byteLength, 'a region lies inside the arena');
      this.#entries.set(name, { offset, bytes });
    }
  }

  /** Reserves the memory and writes the directory. Throws RangeError when the address space cannot be had. */
  static create(plan: readonly RegionPlan[]): Arena {
    let end = align(HEADER_BYTES + plan.length * ENTRY_BYTES, REGION_ALIGN);
    const offsets = plan.map(({ name, bytes }) => {
      assert(
        /^[!-~]+$/.test(name) && name.length <= REGION_NAME_MAX,
        'a region name is 1 to 48 ASCII letters',
      );
      assert(Number.isSafeInteger(bytes) && bytes > 0, 'a region has a size');
      const offset = end;
      end = align(end + bytes, REGION_ALIGN);
      return offset;
    });
    assert(new Set(plan.map(({ name }) => name)).size === plan.length, 'region names are unique');
    const buffer = new SharedArrayBuffer(end);
    const view = new DataView(buffer);
    view.setUint32(0, MAGIC, true);
    view.setUint32(4, VERSION, true);
    view.setUint32(8, plan.length, true);
    plan.forEach(({ name, bytes }, i) => {
      const entry = HEADER_BYTES + i * ENTRY_BYTES;
      for (let c = 0; c < name.length; c++) view.setUint8(entry + c, name.charCodeAt(c));
      view.setFloat64(entry + ENTRY_OFFSET_AT, offsets[i]!, true);
      view.setFloat64(entry + ENTRY_BYTES_AT, align(bytes, 8), true);
    });
    return new Arena(buffer);
  }

  static attach(buffer: SharedArrayBuffer): Arena {
    return new Arena(buffer);
  }

  /** The same object on every call in this thread. A name that was not planned is a bug. */
  region(name: string): Region {
    let region = this.#regions.get(name);
    if (region === undefined) {
      const entry = this.#entries.get(name);
      assert(entry !== undefined, `no region "${name}" in the arena`);
      const { offset, bytes } = entry;
      region = {
        name,
        bytes,
        offset,
        u8: new Uint8Array(this.buffer, offset, bytes),
        i32: new Int32Array(this.buffer, offset, bytes / 4),
        u32: new Uint32Array(this.buffer, offset, bytes / 4),
        f64: new Float64Array(this.buffer, offset, bytes / 8),
      };
      this.#regions.set(name, region);
    }
    return region;
  }

  /** In the order of the plan. */
  names(): string[] {
    return [...this.#entries.keys()];
  }
}

function align(bytes: number, to: number): number {
  return Math.ceil(bytes / to) * to;
}
