/** What a scenario is, and what scenarios are made of. */
import type { Region } from '../../../runtime/memory/arena.ts';

export interface Scenario {
  readonly bytes: number;
  /** Each makes what it needs, then returns the part that is interleaved. */
  readonly threads: readonly ((memory: Region) => () => void)[];
  /** This thread may die at each of its steps. */
  readonly mortal?: number;
  /** Runs beside the others once that thread has died; which may then be at any moment. */
  readonly heir?: (memory: Region) => () => void;
  setup(memory: Region): void;
  /** After all threads have ended; throws when the outcome is wrong. `alive`: nobody has died. */
  check(memory: Region, alive: boolean): void;
}

export function memoryOver(buffer: SharedArrayBuffer): Region {
  return {
    name: 'scenario',
    bytes: buffer.byteLength,
    offset: 0,
    u8: new Uint8Array(buffer),
    i32: new Int32Array(buffer),
    u32: new Uint32Array(buffer),
    f64: new Float64Array(buffer),
  };
}

export const NO_SPIN = 0;
export const nothing = (): void => {};

export function expect(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

// Words that scenarios use for themselves, away from what they test.
export const FLAG = 64;
export const SEEN = 80;
