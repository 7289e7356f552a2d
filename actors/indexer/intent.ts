/**
 * What the indexer is about to change in the tree, for its successor: from before the journal has it until everybody who
 * keeps copies has been told. The successor tells them all again what there is now.
 *
 * Roles: the indexer's thread writes; its successor reads what it left. Region 'change-intent': word 0 the bytes of
 * entries that follow (0 = none), then of each entry u32 directory (0 = no name), u32 inode (0 = not known), u32 bytes of
 * the name, and the name, padded to 4.
 *
 * Invariants:
 * 1. One group of changes is under way at a time.
 * 2. Entries are written while word 0 is 0; its store publishes them, and 0 withdraws them.
 */
import { assert } from '../../runtime/assert.ts';
import { MIB, NAME_MAX } from '../../runtime/config/bounds.ts';
import type { Region, RegionPlan } from '../../runtime/memory/arena.ts';

export const CHANGE_INTENT = 'change-intent';

const BYTES = 1 * MIB;
const ENTRY_HEADER = 12;
/** As many changes as always fit. */
export const INTENTS_MAX = Math.floor((BYTES - 4) / (ENTRY_HEADER + NAME_MAX + 1));

export interface Intended {
  readonly directory: number;
  readonly ino: number;
  readonly name: Uint8Array;
}

export function planIntent(): RegionPlan {
  return { name: CHANGE_INTENT, bytes: BYTES };
}

export class Intent {
  readonly #region: Region;

  constructor(region: Region) {
    this.#region = region;
  }

  write(entries: Iterable<Intended>): void {
    const { i32, u32, u8 } = this.#region;
    assert(Atomics.load(i32, 0) === 0, 'one group of changes is under way at a time');
    let at = 4;
    for (const { directory, ino, name } of entries) {
      u32[at >> 2] = directory;
      u32[(at >> 2) + 1] = ino;
      u32[(at >> 2) + 2] = name.length;
      u8.set(name, at + ENTRY_HEADER);
      at += (ENTRY_HEADER + name.length + 3) & ~3;
    }
    Atomics.store(i32, 0, at - 4);
  }

  clear(): void {
    Atomics.store(this.#region.i32, 0, 0);
  }

  /** What a predecessor left. */
  read(): Intended[] {
    const { i32, u32, u8 } = this.#region;
    const end = 4 + Atomics.load(i32, 0);
    const entries: Intended[] = [];
    for (let at = 4; at < end; ) {
      const length = u32[(at >> 2) + 2]!;
      const name = u8.slice(at + ENTRY_HEADER, at + ENTRY_HEADER + length);
      entries.push({ directory: u32[at >> 2]!, ino: u32[(at >> 2) + 1]!, name });
      at += (ENTRY_HEADER + length + 3) & ~3;
    }
    return entries;
  }
}
