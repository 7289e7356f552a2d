/** The io actors: io-0 recovers the store and writes the log, the others share the object files with it. */
import {
  CHECKPOINT_ROOM_MAX,
  LEAST_FREE,
  LOG_AHEAD,
  RESERVE_BEYOND_RING,
} from '../../runtime/config/bounds.ts';
import { roundSize } from '../../runtime/config/size.ts';
import { EIO, EROFS } from '../../runtime/errno.ts';
import type { DoorbellActor } from '../../runtime/scheduling/actor.ts';
import { ActorState } from '../../runtime/scheduling/actor-state.ts';
import { runOnDoorbell } from '../../runtime/scheduling/run-loop.ts';
import { type Disk, HostDisk } from '../../runtime/storage/disk.ts';
import {
  continueJournal,
  formatJournal,
  JournalReader,
  SPACE_ENOUGH,
} from '../../runtime/storage/journal-ring.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import { checkpointSize } from '../checkpoint-size.ts';
import type { Context } from '../context.ts';
import { LOG_STATE, LogState } from '../log-state.ts';
import { LogWriter } from '../log-writer.ts';
import { SYNC, writeWords } from '../messages.ts';
import { PatientDisk } from '../patient-disk.ts';
import { openPending, type Pending } from '../pending.ts';
import { ACTOR_STATES, JOURNAL, STORE_STATUS } from '../regions.ts';
import { syncReplies } from '../sync-replies.ts';
import { segmentBytes as textBytes } from '../text-segment.ts';
import type { ActorPlan } from '../topology.ts';
import { DURABLE, LOG_WRITTEN } from '../trace.ts';
import { newestCheckpoint } from './checkpoint.ts';
import { CommitActor, type CommitPorts } from './commit-actor.ts';
import { FlushActor } from './flush-actor.ts';
import { DirtyObjects } from './objects.ts';
import { rebuild } from './rebuild.ts';
import { checkpoint, type Recovered, recover, startJournal } from './recovery.ts';
import { type Resumed, resumeLog } from './resume.ts';
import { ShardReplays, withShardReplays } from './shard-replay.ts';
import { SpaceWatch, type SpaceWatchOptions } from './space-watch.ts';
import { TreeState } from './tree-state.ts';

const FIRST = 'io-0';

/** What io-0 works with, whether it begins or goes on. */
interface Parts {
  readonly disk: Disk;
  readonly tree: TreeState;
  readonly status: StoreStatus;
  readonly pending: Pending;
  readonly objects: DirtyObjects;
  readonly replays: ShardReplays;
}

/** Brings the tree into shared memory. Throws the sentence that says why it cannot be done. */
function recoverTree(context: Context, { disk, tree, status }: Parts): Recovered {
  const { identity } = context.settings;
  const region = context.arena.region(JOURNAL);
  formatJournal(region, 1);
  const recovered = recover(disk, identity, tree, context.clock);
  if (typeof recovered === 'string') throw new Error(`the store cannot be recovered: ${recovered}`);
  for (const damage of recovered.damagedCheckpoints) {
    context.logger.error(damage, 'a damaged checkpoint was passed over');
  }
  startJournal(region, recovered, context.clock);
  const settled = recovered.damage === undefined ? tree.settleLengths(disk) : 0;
  if (settled > 0)
    context.logger.info({ settled }, 'files that were written past the log have been looked at');
  const { checkpointLsn, replayedTransactions, replayedRecords, tornBytes, orphans, milliseconds } =
    recovered;
  status.write({
    checkpointLsn,
    objectsLsn: recovered.lastLsn,
    replayedTransactions,
    replayedRecords,
    tornBytes,
    orphans,
    recoveryMs: milliseconds,
  });
  context.logger.info({ checkpointLsn, replayedTransactions, tornBytes, orphans, milliseconds }, 'recovered');
  if (recovered.unwritten > 0) {
    const what = 'the newest bytes of some large files are in the damaged log only: vexfs check --repair';
    context.logger.error({ files: recovered.unwritten }, what);
  }
  tree.announce();
  return recovered;
}

/** Until the damage is dealt with, what came before it can be read and nothing can be changed. */
function serveReadOnly(
  context: Context,
  recovered: Recovered,
  status: StoreStatus,
  journal: JournalReader,
): void {
  if (recovered.damage === undefined) return;
  context.logger.fatal(recovered.damage, 'the log is damaged: the store is read-only');
  journal.fail(EROFS);
  status.fail(EROFS);
}

/** A successor: the tree is there. Throws the sentence that says why the log cannot be gone on with. */
function resume(context: Context, { disk, status }: Parts, journal: JournalReader): Resumed {
  // What a store that failed has on its disk is unknown, and nothing will be written to it any more.
  if (status.errno !== 0) return { lastLsn: status.read().writtenLsn, nextSequence: 0, tornBytes: 0 };
  const resumed = resumeLog(disk, context.settings.identity.bytes, journal);
  if (typeof resumed === 'string') throw new Error(`the log cannot be gone on with: ${resumed}`);
  const { lastLsn, nextSequence, tornBytes } = resumed;
  context.logger.info({ lastLsn, nextSequence, tornBytes }, 'the log goes on');
  return resumed;
}

/** Makes the tables anew: 0 or −errno. */
function rebuildTables(context: Context, { disk, tree, objects }: Parts, lastLsn: number): number {
  const { arena, logger } = context;
  const rebuilt = rebuild(context, disk, lastLsn);
  if (typeof rebuilt === 'string') {
    logger.fatal({ reason: rebuilt }, 'the tables cannot be made anew');
    return -EIO;
  }
  continueJournal(arena.region(JOURNAL), lastLsn + 1);
  const position = new JournalReader(arena.region(JOURNAL)).published();
  for (const id of rebuilt.dropped) objects.dropped(id, position);
  tree.rebuilt(rebuilt);
  const { checkpointLsn, transactions, unnamed, lost, milliseconds } = rebuilt;
  logger.warn({ checkpointLsn, transactions, unnamed, lost, milliseconds }, 'the tables were made anew');
  return 0;
}

function writeCheckpoint(context: Context, parts: Parts, lsn: number): number {
  const { disk, tree } = parts;
  tree.attach();
  // A copy of tables that are not whole would hide what the log has. Nobody uses them now.
  const failed = tree.namespace.broken ? rebuildTables(context, parts, lsn) : 0;
  if (failed !== 0) return failed;
  return checkpoint(disk, context.settings.identity, tree, lsn, context.clock);
}

/** This thread goes on with a log that another one was at when it ended: 0 or −errno. */
function resumeWithin(context: Context, parts: Parts, journal: JournalReader, log: LogWriter): number {
  try {
    const { lastLsn, nextSequence } = resume(context, parts, journal);
    log.goOn(lastLsn, nextSequence);
    return 0;
  } catch (error) {
    context.logger.fatal({ err: error }, 'the log cannot be gone on with');
    return -EIO;
  }
}

function commitPorts(
  context: Context,
  parts: Parts,
  others: readonly ActorPlan[],
  resumeLog: () => number,
): CommitPorts {
  const { arena, logger, state, trace } = context;
  const { pending } = parts;
  const states = others.map(({ slot }) => new ActorState(arena.region(ACTOR_STATES), slot));
  return {
    reply: syncReplies(context, pending),
    logWritten: () => trace.record(LOG_WRITTEN, 0, 0, 0),
    logDurable: () => trace.record(DURABLE, 0, 0, 0),
    toMain: (kind, first, second) => writeWords(context.outbox('main'), kind, first, second),
    toOther: (index, kind, first, second) =>
      writeWords(context.outbox(others[index]!.name), kind, first, second),
    incarnationOf: (index) => states[index]!.incarnation,
    patience(ms) {
      state.patience = ms;
    },
    resumeLog,
    checkpoint: (lsn) => writeCheckpoint(context, parts, lsn),
    newestCheckpoint: () => newestCheckpoint(parts.disk, context.settings.identity.uuid),
    rebuild(lsn) {
      const failed = rebuildTables(context, parts, lsn);
      parts.replays.startOver();
      return failed;
    },
    failed: (errno, doing) => logger.fatal({ errno, doing }, 'the store failed: it can only be read now'),
  };
}

function watchSpace(
  context: Context,
  { disk, status }: Parts,
  parts: Pick<SpaceWatchOptions, 'journal' | 'log'>,
): SpaceWatch {
  const { logger, settings } = context;
  const { journal } = parts;
  let told = SPACE_ENOUGH;
  const watch = new SpaceWatch({
    ...parts,
    disk,
    clock: context.clock,
    reserveBytes: journal.capacity + RESERVE_BEYOND_RING,
    leastFree() {
      const { checkpointLsn } = status.read();
      const size = checkpointSize(context).disk + textBytes(disk, checkpointLsn);
      return LEAST_FREE + Math.min(size, CHECKPOINT_ROOM_MAX);
    },
    looked(freeBytes, neededBytes) {
      status.write({ freeBytes, neededBytes });
      const { space } = journal;
      const facts = { path: settings.store, free: roundSize(freeBytes), needed: roundSize(neededBytes) };
      if (space === SPACE_ENOUGH && told !== SPACE_ENOUGH)
        logger.warn(facts, 'there is room on the disk of the store again');
      if (space !== SPACE_ENOUGH && told === SPACE_ENOUGH)
        logger.error(
          facts,
          'the disk of the store is full: what would take space is refused until there is room',
        );
      told = space;
    },
  });
  // Whoever mounts a store on a full disk is told so from the beginning.
  if (status.errno === 0) watch.look();
  return watch;
}

function commitActor(context: Context, disk: Disk): DoorbellActor {
  const { settings, arena, clock, topology } = context;
  const { store } = settings.config;
  const isSuccessor = settings.incarnation > 1;
  const status = new StoreStatus(arena.region(STORE_STATUS));
  const tree = new TreeState(context);
  const replays = new ShardReplays(context, () => {
    tree.attach();
    return tree.namespace;
  });
  const objects = new DirtyObjects(disk, isSuccessor);
  const parts: Parts = { disk, tree, status, pending: openPending(context), objects, replays };
  const state = new LogState(arena.region(LOG_STATE));
  // Whoever has it is at its end, or has ended; nobody else gets it before it is known where the log goes on.
  state.take();
  const recovered = isSuccessor ? undefined : recoverTree(context, parts);
  const journal = new JournalReader(arena.region(JOURNAL));
  if (recovered) serveReadOnly(context, recovered, status, journal);
  const { lastLsn, nextSequence } = recovered ?? resume(context, parts, journal);
  const others = topology.ofKind('io').filter(({ name }) => name !== FIRST);
  const { bytes: uuid } = settings.identity;
  const log = new LogWriter(disk, {
    uuid,
    segmentBytes: store.log_segment,
    state,
    nextSequence,
    lastLsn,
    aheadBytes: LOG_AHEAD,
    clock,
  });
  state.leave();
  const actor = new CommitActor({
    journal,
    log,
    objects: parts.objects,
    status,
    clock,
    space: watchSpace(context, parts, { journal, log }),
    others: others.length,
    get intervalMs() {
      return store.commit_interval_ms;
    },
    ports: commitPorts(context, parts, others, () => resumeWithin(context, parts, journal, log)),
  });
  if (isSuccessor) parts.pending.each(SYNC, (slot, lo, hi) => actor.takeUp(lo, hi, slot));
  return withShardReplays(actor, replays);
}

function flushActor(context: Context, disk: Disk): DoorbellActor {
  const { settings, arena, clock } = context;
  const { store } = settings.config;
  return new FlushActor({
    journal: new JournalReader(arena.region(JOURNAL)),
    objects: new DirtyObjects(disk, settings.incarnation > 1),
    status: new StoreStatus(arena.region(STORE_STATUS)),
    clock,
    get intervalMs() {
      return store.commit_interval_ms;
    },
    toFirst: (kind, first, second) => writeWords(context.outbox(FIRST), kind, first, second),
  });
}

export function run(context: Context): void {
  const disk = new PatientDisk(new HostDisk(context.settings.store), context.state);
  runOnDoorbell(context, context.name === FIRST ? commitActor(context, disk) : flushActor(context, disk));
}
