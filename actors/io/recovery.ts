/**
 * What happens to a store between being opened and being served: newest checkpoint, log after it, sweep.
 *
 * Damage never leads to more damage: when the log cannot be read to its end, the state before the damaged place
 * is served read-only, and no file is written, cut or deleted.
 */
import { isCompressed, type ObjectVisitor } from '../../fuse/namespace/namespace.ts';
import { OBJECT_DIRECTORY } from '../../fuse/objects/object-path.ts';
import type { Clock } from '../../runtime/clock.ts';
import { ENOSPC, EROFS } from '../../runtime/errno.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import {
  formatJournal,
  JournalReader,
  type JournalRegion,
  JournalWriter,
} from '../../runtime/storage/journal-ring.ts';
import { RECORD_MOUNTED } from '../../runtime/storage/record-header.ts';
import type { StoreIdentity } from '../../runtime/storage/store.ts';
import type { ReadCheckpoint } from '../checkpoint-files.ts';
import { LOG_DIRECTORY } from '../log-files.ts';
import { RESERVE_FILE } from '../log-reserve.ts';
import { loadCheckpoint, type Part, removeUnfinished, setAside, writeCheckpoint } from './checkpoint.ts';
import {
  type Damage,
  endLog,
  type LogOutcome,
  listSegments,
  type Replayable,
  replayInto,
} from './log-recovery.ts';
import type { ObjectRedo } from './object-redo.ts';
import { prune } from './prune.ts';

/** What a checkpoint is read into. */
export interface Loadable {
  /** Memory that a checkpoint's part of this name is read into; undefined when there is none. */
  region(name: string): Uint8Array | undefined;
  /** How the parts are read, when not by this thread one after the other. */
  readonly read?: ReadCheckpoint;
  /** Makes the initial state of a new store. */
  format(): void;
  /** The regions hold the checkpoint of this LSN (after {@link format}: 0). Throws when they cannot be used. */
  loaded(checkpointLsn: number): void;
}

/** The state that a checkpoint holds and log records change. */
export interface Recoverable extends Loadable, Replayable {
  /** The used prefixes of the regions: what a checkpoint copies. */
  image(): { readonly name: string; readonly bytes: number }[];
  /** Told of bytes of objects as records are applied. */
  readonly redo: ObjectRedo;
  /** Every object that an inode refers to. */
  forEachObject(visit: ObjectVisitor): void;
}

export interface Recovered {
  readonly fresh: boolean;
  readonly checkpointLsn: number;
  readonly lastLsn: number;
  readonly nextSequence: number;
  readonly replayedTransactions: number;
  readonly replayedRecords: number;
  readonly tornBytes: number;
  /** Object files deleted because nothing referred to them. */
  readonly orphans: number;
  readonly milliseconds: number;
  /** Checkpoints that were passed over; kept aside under another name. */
  readonly damagedCheckpoints: readonly Damage[];
  /** Objects whose newest bytes only the log has, because nothing may be written: 0 unless it is damaged. */
  readonly unwritten: number;
  /** Set when the log is damaged: serve read-only, write nothing. */
  readonly damage: Damage | undefined;
  /** A checkpoint should be written before anything else, so that the log does not grow for ever. */
  readonly checkpointWanted: boolean;
}

/** The recovered state is in the regions; or a sentence that says why the store cannot be used. */
export function recover(
  disk: Disk,
  identity: StoreIdentity,
  target: Recoverable,
  clock: Clock,
): Recovered | string {
  const started = clock.monotonic();
  const loaded = loadState(disk, identity, target);
  if (typeof loaded === 'string') return loaded;
  const outcome = replayInto(target, disk, identity.bytes, loaded.lsn);
  if (typeof outcome === 'number') return `${LOG_DIRECTORY} cannot be read (errno ${-outcome})`;
  target.afterRecovery();
  const orphans = outcome.damage === undefined ? settle(disk, target, outcome, loaded.damaged) : 0;
  if (typeof orphans === 'string') return orphans;
  // The first state of a store is in no log: until a checkpoint holds it, there must be no log.
  const first = loaded.fresh ? checkpoint(disk, identity, target, 0, clock) : 0;
  if (first < 0) return `the first checkpoint cannot be written (errno ${-first})`;
  return {
    fresh: loaded.fresh,
    checkpointLsn: loaded.lsn,
    lastLsn: outcome.lastLsn,
    nextSequence: outcome.nextSequence,
    replayedTransactions: outcome.transactions,
    replayedRecords: outcome.records,
    tornBytes: outcome.tornBytes,
    orphans,
    milliseconds: clock.monotonic() - started,
    damagedCheckpoints: loaded.damaged.map(({ damage }) => damage),
    unwritten: target.redo.count,
    damage: outcome.damage,
    checkpointWanted: outcome.damage === undefined && outcome.records > 0,
  };
}

export interface LoadedState {
  readonly lsn: number;
  readonly fresh: boolean;
  readonly damaged: readonly { readonly sequence: number; readonly damage: Damage }[];
}

/** The newest valid checkpoint is in the regions; where there is none yet, the state of a new store. Or why not. */
export function loadState(disk: Disk, identity: StoreIdentity, target: Loadable): LoadedState | string {
  const outcome = loadCheckpoint(disk, identity.uuid, (name) => target.region(name), target.read);
  if (typeof outcome === 'string') return outcome;
  const { loaded, damaged } = outcome;
  if (loaded === undefined) {
    const segments = listSegments(disk);
    if (typeof segments === 'number') return `${LOG_DIRECTORY} cannot be listed (errno ${-segments})`;
    const worst = damaged[0]?.damage;
    if (worst !== undefined)
      return `no checkpoint is valid: ${worst.file} at byte ${worst.offset}: ${worst.reason}`;
    if (segments.length > 0) return 'the store has a log but no checkpoint: its beginning is lost';
    target.format();
  }
  const lsn = loaded?.lsn ?? 0;
  try {
    target.loaded(lsn);
  } catch (error) {
    return `the checkpoint of record ${lsn} cannot be used: ${error instanceof Error ? error.message : error}`;
  }
  return { lsn, fresh: loaded === undefined, damaged };
}

/** Everything on disk that recovery may change, once the log has been read to its end. Returns the orphans. */
function settle(
  disk: Disk,
  target: Recoverable,
  outcome: LogOutcome,
  damaged: LoadedState['damaged'],
): number | string {
  const ended = endLog(disk, outcome);
  if (ended < 0) return `the log cannot be completed (errno ${-ended})`;
  let redone = target.redo.apply(disk);
  // What was accepted before is what the reserve is for.
  if (redone === -ENOSPC && disk.unlink(RESERVE_FILE) === 0) redone = target.redo.apply(disk);
  if (redone < 0) return `what the log has of large files cannot be written to them (errno ${-redone})`;
  // A process that was killed leaves in the page cache what can be read from now on, whether the log has records of it
  // or not; and an fsync that is answered by this mount vouches for what was read.
  const synced = disk.syncAll();
  if (synced < 0) return `the store cannot be synced (errno ${-synced})`;
  for (const { sequence } of damaged) {
    const failed = setAside(disk, sequence, '.damaged');
    if (failed < 0) return `a damaged checkpoint cannot be set aside (errno ${-failed})`;
  }
  const removed = removeUnfinished(disk) || removeUnfinishedSegments(disk);
  if (removed < 0) return `unfinished files cannot be removed (errno ${-removed})`;
  const orphans = sweepObjects(disk, target);
  return orphans < 0 ? `the objects cannot be swept (errno ${-orphans})` : orphans;
}

/** Deletes segments that did not get as far as their name. 0 or −errno. */
export function removeUnfinishedSegments(disk: Disk): number {
  const names = disk.list(LOG_DIRECTORY);
  if (typeof names === 'number') return names;
  for (const name of names) {
    if (!name.endsWith('.tmp')) continue;
    const failed = disk.unlink(`${LOG_DIRECTORY}/${name}`);
    if (failed < 0) return failed;
  }
  return 0;
}

/** Deletes objects that nothing refers to and cuts plain ones longer than their inode says. Number deleted, or −errno. */
function sweepObjects(disk: Disk, target: Recoverable): number {
  const sizes = new Map<number, number>();
  target.forEachObject((id, size, stored) => {
    sizes.set(id, isCompressed(stored) ? Number.POSITIVE_INFINITY : size);
  });
  const directories = disk.list(OBJECT_DIRECTORY);
  if (typeof directories === 'number') return directories;
  let orphans = 0;
  for (const directory of directories.filter((name) => /^[0-9a-f]{2}$/.test(name))) {
    const names = disk.list(`${OBJECT_DIRECTORY}/${directory}`);
    if (typeof names === 'number') return names;
    for (const name of names.filter((name) => /^[0-9a-f]{1,8}$/.test(name))) {
      const path = `${OBJECT_DIRECTORY}/${directory}/${name}`;
      const size = sizes.get(Number.parseInt(name, 16));
      const failed = size === undefined ? disk.unlink(path) : cutObject(disk, path, size);
      if (failed < 0) return failed;
      if (size === undefined) orphans++;
    }
  }
  return orphans;
}

function cutObject(disk: Disk, path: string, size: number): number {
  const status = disk.stat(path);
  if (typeof status === 'number') return status;
  if (status.bytes <= size) return 0;
  const descriptor = disk.open(path, 'write');
  if (descriptor < 0) return descriptor;
  const failed = disk.truncate(descriptor, size) || disk.fdatasync(descriptor);
  disk.close(descriptor);
  return failed;
}

/**
 * Makes the journal go on where the recovered log ends. It begins with a record of this mount, at which later
 * recoveries repeat the clean-up that this one did. If the log is damaged it accepts nothing.
 */
export function startJournal(region: JournalRegion, recovered: Recovered, clock: Clock): void {
  formatJournal(region, recovered.lastLsn + 1);
  if (recovered.damage !== undefined) {
    new JournalReader(region).fail(EROFS);
    return;
  }
  const journal = new JournalWriter(region);
  journal.f64[journal.append(RECORD_MOUNTED, 8) >> 3] = clock.now();
  journal.commit();
}

/**
 * Copies the state to a new checkpoint and deletes what it makes superfluous. Nobody may change the state
 * meanwhile, and the log must be durable up to `lsn`. 0 or −errno; an error leaves the older ones in force.
 */
export function checkpoint(
  disk: Disk,
  identity: StoreIdentity,
  target: Recoverable,
  lsn: number,
  clock: Clock,
): number {
  const parts: Part[] = target
    .image()
    .map(({ name, bytes }) => ({ name, bytes: target.region(name)!.subarray(0, bytes) }));
  const written = writeCheckpoint(disk, { uuid: identity.uuid, lsn, created: clock.now() }, parts);
  return written < 0 ? written : prune(disk, identity);
}
