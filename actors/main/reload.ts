/** Reading the configuration again while a store is mounted: what can change at once does, the rest is named. */
import { FIELDS, type Field, LIVE_KEYS } from '../../runtime/config/fields.ts';
import { publishLive } from '../../runtime/config/live.ts';
import { literal, valueIn } from '../../runtime/config/print.ts';
import type { Config } from '../../runtime/config/schema.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { Context } from '../context.ts';
import { LIVE } from '../regions.ts';
import { requireFeasible } from './feasible.ts';
import type { AllWorkers, Workers } from './workers.ts';

/** Values as they are written in the file. */
export interface ConfigChange {
  readonly key: string;
  readonly from: string;
  readonly to: string;
}

export interface ReloadReport {
  /** In force now. */
  readonly applied: readonly ConfigChange[];
  /** Other than what this mount runs with, until the next one; with what keeps it from being applied, where that can be changed. */
  readonly needsRemount: readonly (ConfigChange & { readonly why?: string })[];
  /** Could not be put in force, and why; absent when everything could. */
  readonly failed?: readonly (ConfigChange & { readonly why: string })[];
}

/** Reads the configuration of a mount again whenever it is asked to, once at a time. */
export class Reloads {
  readonly #reload: () => Promise<ReloadReport>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(context: Context, read: () => Config, workers: AllWorkers) {
    this.#reload = () => reload(context, read, workers);
  }

  /** As {@link reload}. */
  reload(): Promise<ReloadReport> {
    const next = this.#last.then(this.#reload, this.#reload);
    this.#last = next;
    return next;
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    await this.#last.catch(() => {});
  }
}

/** Kinds whose number may change, in the order in which it does. */
const KINDS = ['fuse', 'shards'] as const;
type Kind = (typeof KINDS)[number];

/**
 * Publishes the live values of `read()`, and brings the numbers of fuse actors and shards to what it says. With a mistake in the
 * configuration nothing changes.
 *
 * @param read the configuration as a mount would have it now, from the same sources as this one
 * @throws {UserError} naming every mistake, one a line
 */
export async function reload(
  context: Context,
  read: () => Config,
  workers: AllWorkers,
): Promise<ReloadReport> {
  const present = context.settings.config;
  const wanted = withRoomAsMounted(read(), present);
  requireFeasible(wanted);
  // A context's configuration has the live values of now, and all others as they were mounted.
  const changes = changesBetween(present, wanted);
  const hasRoom = (kind: Kind): boolean => wanted.workers[kind] <= workers[kind].room;
  const resized = KINDS.filter((kind) => hasRoom(kind) && wanted.workers[kind] !== workers[kind].count);
  for (const kind of resized) workers[kind].mustBeFree();
  const publish = (): void => publishLive(context.arena.region(LIVE), LIVE_KEYS, withCounts(wanted, workers));
  publish();
  const failures = new Map<string, string>();
  for (const kind of resized) {
    const why = await failureOf(workers[kind], wanted.workers[kind]);
    if (why !== undefined) failures.set(`workers.${kind}`, why);
  }
  publish();
  const isLive = ({ field }: Change): boolean =>
    field.isLive && KINDS.every((kind) => field.key !== `workers.${kind}` || hasRoom(kind));
  const failed = changes.filter(({ field }) => failures.has(field.key));
  const report = {
    applied: changes.filter((change) => isLive(change) && !failed.includes(change)).map(described),
    needsRemount: changes.filter((change) => !isLive(change)).map((change) => postponed(change, workers)),
    ...(failed.length === 0
      ? {}
      : { failed: failed.map((one) => ({ ...described(one), why: failures.get(one.field.key)! })) }),
  };
  context.logger.info(report, 'the configuration was read again');
  return report;
}

/** What a user is to be told of it, or undefined. */
async function failureOf(workers: Workers, count: number): Promise<string | undefined> {
  try {
    await workers.resize(count);
    return undefined;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message;
  }
}

function withCounts(config: Config, { fuse, shards }: AllWorkers): Config {
  return { ...config, workers: { ...config.workers, fuse: fuse.count, shards: shards.count } };
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

/** A number of workers is live, unless there is no room for so many. */
function postponed(change: Change, workers: AllWorkers): ConfigChange & { why?: string } {
  const kind = KINDS.find((one) => change.field.key === `workers.${one}`);
  if (kind === undefined) return described(change);
  return { ...described(change), why: `this one has room for ${workers[kind].room} (workers.${kind}_max)` };
}

function described({ field, from, to }: Change): ConfigChange {
  return { key: field.key, from, to };
}
