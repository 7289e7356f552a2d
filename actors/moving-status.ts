import type { Context } from './context.ts';
import { COPYING, phaseOf, Route, SETTLED, shardsAfter, shardsBefore } from './route.ts';
import { shardTotal } from './totals.ts';

/** Files on their way to another number of shards (route.ts). */
export interface MovingStatus {
  readonly from: number;
  readonly to: number;
  /** Copied to the shards that are to hold them, or dropped by those that held them. */
  readonly phase: 'copying' | 'dropping';
  /** Entries of files, one for each collection, that shards have yet to look at in this phase. */
  readonly left: number;
}

/** Undefined while every file is where it belongs. Any thread may ask. */
export function movingStatus(context: Context): MovingStatus | undefined {
  const { word } = new Route(context.arena);
  if (phaseOf(word) === SETTLED) return undefined;
  const left = shardTotal(context, 'moving');
  const phase = phaseOf(word) === COPYING ? 'copying' : 'dropping';
  return { from: shardsBefore(word), to: shardsAfter(word), phase, left };
}
