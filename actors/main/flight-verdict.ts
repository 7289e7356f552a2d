import { hasPublished } from '../../fuse/namespace/namespace.ts';
import { Flight, PUBLISHING } from '../../fuse/session/flight.ts';
import { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import type { Context } from '../context.ts';
import { FLIGHTS, JOURNAL } from '../regions.ts';

/**
 * After the thread of the `index`-th fuse actor has ended, and before anything is done about the locks it held: says for
 * its successor whether the change that it was publishing is in the journal. It held the lock, so nobody has published since.
 */
export function decideFlight({ arena }: Context, index: number): void {
  const flight = new Flight(arena.region(FLIGHTS), index);
  if (flight.phase === PUBLISHING)
    flight.decide(hasPublished(arena, new JournalWriter(arena.region(JOURNAL))));
}
