import { Namespace } from '../fuse/namespace/namespace.ts';
import { AS_STORED } from '../fuse/namespace/shown-owner.ts';
import type { SlabAllocator } from '../runtime/memory/slab.ts';
import { doorbellOf } from '../runtime/messaging/mailbox.ts';
import { JournalWriter } from '../runtime/storage/journal-ring.ts';
import { type PublicationWitness, WitnessedJournal } from '../runtime/storage/witnessed-journal.ts';
import type { Context } from './context.ts';
import { JOURNAL } from './regions.ts';
import { openSlab, viewSlab } from './slab.ts';
import { mailboxRegion } from './topology.ts';
import { VectorOrder } from './vector-order.ts';

/** This thread's view of the shared tree. */
export interface Tree {
  readonly slab: SlabAllocator;
  readonly namespace: Namespace;
}

/**
 * `witness`: who is to hear when this thread publishes a change. Its changes wait for broken tables to be made anew, so
 * whoever makes them anew (io-0) must not change anything through it.
 */
export function openTree(context: Context, witness?: PublicationWitness): Tree {
  const { arena, settings, clock } = context;
  const slab = openSlab(context);
  const reader = doorbellOf(arena.region(mailboxRegion('io-0')));
  const region = arena.region(JOURNAL);
  const journal = witness ? new WitnessedJournal(region, reader, witness) : new JournalWriter(region, reader);
  const inlineLimit = settings.config.store.inline_limit;
  const order = new VectorOrder(arena);
  const stamp = (): number => order.next();
  const shown = settings.shown ?? AS_STORED;
  const options = { inlineLimit, clock, stamp, shown, whenBroken: 'wait' as const };
  return { slab, namespace: new Namespace(arena, slab, journal, options) };
}

/** For a thread that only looks. */
export function viewTree(context: Context): Namespace {
  const { arena, settings, clock } = context;
  const journal = new JournalWriter(arena.region(JOURNAL));
  const inlineLimit = settings.config.store.inline_limit;
  return new Namespace(arena, viewSlab(context), journal, { inlineLimit, clock });
}
