/** Every block of the slab against everything that refers to one: for tests, and for whoever doubts a quiet mount. */
import { NodeTable } from '../fuse/virtual/node-table.ts';
import { type Audit, auditSlab, type Stray } from '../runtime/memory/slab-audit.ts';
import type { Context } from './context.ts';
import { actorName, tagName, viewSlab } from './slab.ts';
import { openTree } from './tree.ts';

/** Looks again when something is amiss, as the pool actor may have been at work. */
const LOOKS = 5;

export interface NamedStray {
  readonly handle: number;
  readonly bytes: number;
  readonly tag: string;
  readonly actor: string;
  /** Minute since the mount in which the block was allocated. */
  readonly minute: number;
}

export interface MemoryAudit {
  /** Blocks that were ever used. */
  readonly blocks: number;
  /** Neither free nor referred to; referred to but free; in two places. */
  readonly lost: readonly NamedStray[];
  readonly dangling: readonly NamedStray[];
  readonly doubled: readonly NamedStray[];
}

/** What it says is true of a moment in which nobody allocates or frees; it only reads. */
export function auditMemory(context: Context): MemoryAudit {
  const slab = viewSlab(context);
  const { namespace } = openTree(context);
  const nodes = new NodeTable(context.arena, slab);
  let audit: Audit;
  let looks = 0;
  do {
    audit = auditSlab(slab, (visit) => {
      namespace.slabHandles(visit);
      nodes.slabHandles(visit);
    });
  } while (audit.lost.length + audit.dangling.length + audit.doubled.length > 0 && ++looks < LOOKS);
  const named = ({ handle, bytes, tag, slot, minute }: Stray): NamedStray => ({
    handle,
    bytes,
    tag: tagName(tag),
    actor: actorName(context, slot),
    minute,
  });
  const { blocks, lost, dangling, doubled } = audit;
  return {
    blocks,
    lost: lost.map(named),
    dangling: dangling.map(named),
    doubled: doubled.map(named),
  };
}
