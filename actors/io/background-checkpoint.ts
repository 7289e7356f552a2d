/**
 * A checkpoint made while the mount serves: not from the tables in use, but from the checkpoint before it and the log
 * since then, as a recovery would. Nobody is held up, and what it holds is what a recovery would find.
 *
 * The log must be durable up to the LSN it is made for. Only one checkpoint is made at a time, and no tables are made anew
 * and no shard is replayed between {@link makeCheckpoint} and {@link prune}: they read the files that the latter deletes.
 */
import type { Clock } from '../../runtime/clock.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import type { StoreIdentity } from '../../runtime/storage/store.ts';
import type { CheckpointOutcome, Ended } from '../checkpoint-order.ts';
import { RESERVE_FILE } from '../log-reserve.ts';
import { segmentBytes } from '../text-segment.ts';
import { checkpointPath, setAside, writeCheckpoint } from './checkpoint.ts';
import { replayInto, wholeLog } from './log-recovery.ts';
import { prune, pruneTextSegments } from './prune.ts';
import { loadState } from './recovery.ts';
import { ReplayedTables, type TablesCapacity } from './replayed-tables.ts';
import { TextCarry } from './text-carry.ts';

export interface CheckpointOptions {
  readonly capacity: TablesCapacity;
  /** LSN of the last record of a transaction; it is durable. */
  readonly untilLsn: number;
  /** Segments of text vectors to write. */
  readonly shards: number;
  /** What was before the newest checkpoint is deleted to make room, once that was read without a fault. */
  readonly isDiskFull: boolean;
  /** Asked which of the inodes without a name are no more, so that the checkpoint need not have their bytes. */
  readonly endedOf?: (unnamed: Uint32Array) => Ended;
  /** How far it has come, in words. */
  readonly progress?: (doing: string) => void;
}

/** The checkpoint is complete under its name, or nothing is left of it. Older ones are still there: see {@link settle}. */
export function makeCheckpoint(
  disk: Disk,
  identity: StoreIdentity,
  options: CheckpointOptions,
  clock: Clock,
): CheckpointOutcome {
  const outcome = attempt(disk, identity, options, clock);
  if (outcome.kind === 'made') return outcome;
  // The vectors of a checkpoint that did not come to be.
  pruneTextSegments(disk, identity.uuid);
  // The last resort: what a checkpoint makes superfluous gives the log its reserve back.
  const hasMoreRoom = outcome.kind === 'failed' && options.isDiskFull && disk.unlink(RESERVE_FILE) === 0;
  return hasMoreRoom ? makeCheckpoint(disk, identity, options, clock) : outcome;
}

function attempt(
  disk: Disk,
  identity: StoreIdentity,
  options: CheckpointOptions,
  clock: Clock,
): CheckpointOutcome {
  const { capacity, shards, isDiskFull, progress } = options;
  const started = clock.monotonic();
  const text = new TextCarry();
  progress?.('reading the checkpoint before');
  const tables = new ReplayedTables(capacity, clock, text.observer);
  const state = loadState(disk, identity, tables);
  if (typeof state === 'string') return failed(state);
  if (tables.misfits > 0)
    return failed(`checkpoint ${state.lsn} refers ${tables.misfits} times to memory that it does not have`);
  if (state.lsn === options.untilLsn && state.damaged.length === 0)
    return { kind: 'current', lsn: state.lsn };
  progress?.('replaying the log');
  const log = replay(disk, identity, options, tables, state.lsn);
  if (typeof log === 'string') return failed(log);
  const { untilLsn } = log;
  if (isDiskFull && state.damaged.length === 0) prune(disk, identity, 1);
  progress?.('carrying text vectors over');
  const { namespace } = tables;
  const missing = text.write({
    disk,
    uuid: identity.bytes,
    from: state.lsn,
    to: untilLsn,
    shards,
    namespace,
  });
  if (typeof missing === 'number') return failed(`text vectors cannot be written (errno ${-missing})`);
  if (missing.length > 0) return { kind: 'text missing', files: missing };
  progress?.('writing');
  const parts = tables.parts();
  const created = clock.now();
  const written = writeCheckpoint(disk, { uuid: identity.uuid, lsn: untilLsn, created }, parts);
  if (written < 0) return failed(`it cannot be written (errno ${-written})`);
  return {
    kind: 'made',
    lsn: untilLsn,
    created,
    records: log.records,
    tableBytes: parts.reduce((sum, { bytes }) => sum + bytes.length, 0),
    diskBytes: bytesOn(disk, checkpointPath(written)) + segmentBytes(disk, untilLsn),
    damaged: state.damaged.map(({ sequence, damage }) => ({ sequence, ...damage })),
    milliseconds: clock.monotonic() - started,
  };
}

interface Replayed {
  readonly untilLsn: number;
  readonly records: number;
}

/** Brings the tables from `lsn` up to `untilLsn` or later, without inodes that are no more; or why it cannot be. */
function replay(
  disk: Disk,
  { bytes }: StoreIdentity,
  { untilLsn, endedOf }: CheckpointOptions,
  tables: ReplayedTables,
  lsn: number,
): Replayed | string {
  const log = wholeLog(replayInto(tables, disk, bytes, lsn, untilLsn), untilLsn);
  if (typeof log === 'string') return log;
  const { unnamed } = tables;
  const ended = unnamed.length > 0 ? endedOf?.(unnamed) : undefined;
  if (ended === undefined || ended.inodes.length === 0) return { untilLsn, records: log.records };
  const rest = wholeLog(replayInto(tables, disk, bytes, untilLsn, ended.untilLsn), ended.untilLsn);
  if (typeof rest === 'string') return rest;
  tables.free(ended.inodes);
  return { untilLsn: ended.untilLsn, records: log.records + rest.records };
}

function failed(reason: string): CheckpointOutcome {
  return { kind: 'failed', reason };
}

function bytesOn(disk: Disk, directory: string): number {
  const names = disk.list(directory);
  if (typeof names === 'number') return 0;
  return names.reduce((sum, name) => {
    const status = disk.stat(`${directory}/${name}`);
    return typeof status === 'number' ? sum : sum + status.bytes;
  }, 0);
}

/**
 * Everybody knows of the new checkpoint: what it makes superfluous goes, and those that were found damaged are kept under
 * another name. 0 or −errno.
 */
export function settle(
  disk: Disk,
  identity: StoreIdentity,
  damaged: readonly { readonly sequence: number }[],
  isDiskFull: boolean,
): number {
  for (const { sequence } of damaged) {
    const failed = setAside(disk, sequence, '.damaged');
    if (failed < 0) return failed;
  }
  return prune(disk, identity, isDiskFull ? 1 : undefined);
}
