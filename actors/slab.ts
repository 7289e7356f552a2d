/** The slab as an actor's thread sees it: with its row of the caches, the table of holders, and help from the pool. */
import { SLAB_TAG_NAMES } from '../fuse/slab-tags.ts';
import { SlabAllocator } from '../runtime/memory/slab.ts';
import { type Holder, scanHolders } from '../runtime/memory/slab-audit.ts';
import { SlabCaches } from '../runtime/memory/slab-caches.ts';
import { RESTORED } from '../runtime/memory/slab-tags.ts';
import type { Context } from './context.ts';
import { SLAB, SLAB_CACHES, SLAB_TAGS } from './regions.ts';
import type { ActorKind } from './topology.ts';

/** How long a request that found no memory waits for the pool actor, ms. */
const RELIEF_MS = 20;
/** Those that answer requests; whoever replays the log does not wait for the pool, which may not have started. */
const RELIEVED: readonly ActorKind[] = ['fuse', 'indexer'];

/** For a thread that allocates: it takes over what an earlier thread of this actor had cached. */
export function openSlab(context: Context): SlabAllocator {
  const { arena, topology, settings } = context;
  const caches = new SlabCaches(arena.region(SLAB_CACHES));
  const { slot, kind } = topology.actor(context.name);
  return new SlabAllocator(arena.region(SLAB), {
    caches,
    slot,
    tags: arena.region(SLAB_TAGS).u32,
    debug: settings.config.memory.debug ? { tagNames: SLAB_TAG_NAMES } : undefined,
    relieve: RELIEVED.includes(kind) ? () => caches.waitForMemory(RELIEF_MS) : undefined,
  });
}

/** For whoever only looks. */
export function viewSlab({ arena }: Context): SlabAllocator {
  const caches = new SlabCaches(arena.region(SLAB_CACHES));
  return new SlabAllocator(arena.region(SLAB), { caches, tags: arena.region(SLAB_TAGS).u32 });
}

export interface NamedHolder {
  /** What the blocks are for. */
  readonly tag: string;
  /** The actor that allocated them; "store": they were there at the mount. */
  readonly actor: string;
  readonly blocks: number;
  readonly bytes: number;
  /** Bytes of them that nobody asked for. */
  readonly slack: number;
  /** Minutes since the oldest of them was allocated. */
  readonly oldestMinutes: number;
}

/** Who holds how much of the slab, most bytes first. Looks at every block: some 20 ms for a GiB of small ones. */
export function holders(context: Context): NamedHolder[] {
  const slab = viewSlab(context);
  const nameOf = ({ tag, slot, ...rest }: Holder): NamedHolder => ({
    tag: tagName(tag),
    actor: actorName(context, slot),
    ...rest,
  });
  return scanHolders(slab, slab.caches!.minute).map(nameOf);
}

export function tagName(tag: number): string {
  return SLAB_TAG_NAMES[tag] ?? `tag ${tag}`;
}

export function actorName({ topology }: Context, slot: number): string {
  return slot === RESTORED ? 'store' : (topology.actors[slot]?.name ?? `slot ${slot}`);
}
