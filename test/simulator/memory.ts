/** Shared memory of simulated stores. It is used again: a simulation mounts hundreds of thousands of times. */
import { planNamespace } from '../../fuse/namespace/namespace.ts';
import { planDataLocks } from '../../fuse/objects/data-locks.ts';
import { planStagedSums } from '../../fuse/objects/staged-sums.ts';
import { planSyncHabits } from '../../fuse/objects/sync-habits.ts';
import { KIB, MIB } from '../../runtime/config/bounds.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { HEADER_BYTES } from '../../runtime/memory/slab-layout.ts';
import { journalRegionBytes } from '../../runtime/storage/journal-ring.ts';

export const INODES = 128;
/** A span for each size class that a workload uses, and the header. */
export const SLAB = 12 * MIB;
const JOURNAL = 32 * KIB;

const ZEROS = new Uint8Array(64 * KIB);
const idle: Arena[] = [];

export function takeMemory(): Arena {
  const arena =
    idle.pop() ??
    Arena.create([
      ...planNamespace({ maxInodes: INODES, maxDentries: INODES }),
      planDataLocks(),
      planSyncHabits(),
      planStagedSums(),
      { name: 'slab', bytes: SLAB },
      { name: 'journal', bytes: journalRegionBytes(JOURNAL) },
    ]);
  for (const name of arena.names()) {
    const { u8 } = arena.region(name);
    // What a slab has beyond its header may be anything. (set is faster here than fill: the memory is shared.)
    const bytes = name === 'slab' ? HEADER_BYTES : name === 'staged-sums' ? 4 : u8.length;
    for (let at = 0; at < bytes; at += ZEROS.length) u8.set(ZEROS.subarray(0, bytes - at), at);
  }
  return arena;
}

export function giveMemory(arena: Arena): void {
  idle.push(arena);
}
