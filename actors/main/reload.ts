/** Reading the configuration again while a store is mounted: what can change at once does, the rest is named. */
import { FIELDS, type Field, LIVE_KEYS } from '../../runtime/config/fields.ts';
import { publishLive } from '../../runtime/config/live.ts';
import { literal, valueIn } from '../../runtime/config/print.ts';
import type { Config } from '../../runtime/config/schema.ts';
import type { Context } from '../context.ts';
import { LIVE } from '../regions.ts';
import { requireFeasible } from './feasible.ts';

/** Values as they are written in the file. */
export interface ConfigChange {
  readonly key: string;
  readonly from: string;
  readonly to: string;
}

export interface ReloadReport {
  /** In force now. */
  readonly applied: readonly ConfigChange[];
  /** Other than what this mount runs with, until the next one. */
  readonly needsRemount: readonly ConfigChange[];
}

/**
 * Publishes the live values of `read()`. All or nothing: a configuration with a mistake in it changes nothing.
 *
 * @param read the configuration as a mount would have it now, from the same sources as this one
 * @throws {UserError} naming every mistake, one a line
 */
export function reload(context: Context, read: () => Config): ReloadReport {
  const wanted = withRoomAsMounted(read(), context.settings.config);
  requireFeasible(wanted);
  // A context's configuration has the live values of now, and all others as they were mounted.
  const changes = changesBetween(context.settings.config, wanted);
  publishLive(context.arena.region(LIVE), LIVE_KEYS, wanted);
  const report = {
    applied: changes.filter(({ field }) => field.isLive).map(described),
    needsRemount: changes.filter(({ field }) => !field.isLive).map(described),
  };
  context.logger.info(report, 'the configuration was read again');
  return report;
}

/** Where it says "as many as fit", the room that was reserved at the mount does. */
function withRoomAsMounted(wanted: Config, { workers: mounted }: Config): Config {
  const fuse_max = wanted.workers.fuse_max || mounted.fuse_max;
  const shards_max = wanted.workers.shards_max || mounted.shards_max;
  return { ...wanted, workers: { ...wanted.workers, fuse_max, shards_max } };
}

interface Change {
  readonly field: Field;
  readonly from: string;
  readonly to: string;
}

function changesBetween(present: Config, wanted: Config): Change[] {
  return FIELDS.map((field) => ({
    field,
    from: literal(field, valueIn(field, present)),
    to: literal(field, valueIn(field, wanted)),
  })).filter(({ from, to }) => from !== to);
}

function described({ field, from, to }: Change): ConfigChange {
  return { key: field.key, from, to };
}
