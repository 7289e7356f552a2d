/**
 * Which names the kernel may remember as absent: those that a LOOKUP was answered for so. What is made without the kernel
 * (a transaction) under one of these must be told to it; there are few of them, and telling takes longer than making.
 *
 * Roles: any thread that answers LOOKUPs notes; any thread that makes names asks. Region 'absent-names': bits, each for the
 * names of one hash.
 *
 * Invariants:
 * 1. A bit is set before the tables are looked at for the answer, and never cleared: a name whose bit is 0, seen after it was
 *    made, was never answered to be absent, nor is about to be.
 * 2. A bit that is 1 says nothing: of names with one hash only one may have been.
 */
import { KIB } from '../../runtime/config/bounds.ts';
import type { RegionPlan } from '../../runtime/memory/arena.ts';
import { hashName } from '../namespace/names.ts';

export const ABSENT_NAMES = 'absent-names';

const BYTES = 512 * KIB;

export function planAbsentNames(): RegionPlan {
  return { name: ABSENT_NAMES, bytes: BYTES };
}

export class AbsentNames {
  readonly #i32: Int32Array;

  constructor(region: { readonly i32: Int32Array }) {
    this.#i32 = region.i32;
  }

  /** In memory of its own, where nobody makes names without the kernel. */
  static alone(): AbsentNames {
    return new AbsentNames({ i32: new Int32Array(BYTES / 4) });
  }

  /** The kernel is about to hear that `u8[start, end)` is not in the directory. */
  note(directory: number, u8: Uint8Array, start: number, end: number): void {
    const hash = hashName(directory, u8, start, end);
    const word = (hash >>> 5) % this.#i32.length;
    const bit = 1 << (hash & 31);
    if ((Atomics.load(this.#i32, word) & bit) === 0) Atomics.or(this.#i32, word, bit);
  }

  has(directory: number, name: Uint8Array): boolean {
    const hash = hashName(directory, name, 0, name.length);
    return (Atomics.load(this.#i32, (hash >>> 5) % this.#i32.length) & (1 << (hash & 31))) !== 0;
  }
}
