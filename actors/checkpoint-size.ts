import { namespaceUse } from '../fuse/namespace/namespace.ts';
import type { Context } from './context.ts';
import { viewSlab } from './slab.ts';

/** Bytes for each file beside the slab: its inode, its name, the hash table. */
const FILE_BYTES = 256;

/** What a copy of the tables takes, bytes: `memory` of whoever makes it, and about so much of the `disk`, if it packs badly. Any thread. */
export function checkpointSize(context: Context): { readonly memory: number; readonly disk: number } {
  const { files, freeFiles } = namespaceUse(context.arena);
  const slab = viewSlab(context);
  const fixed = (files - freeFiles) * FILE_BYTES;
  return { memory: slab.highWater() + fixed, disk: slab.usedBytes + fixed };
}
