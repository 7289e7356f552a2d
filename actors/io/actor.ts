/** The io actors: io-0 recovers the store and writes the log, the others share the object files with it. */
import { Reply } from '../../fuse/protocol/reply.ts';
import { sendTo } from '../../fuse/session/channel.ts';
import { EROFS } from '../../runtime/errno.ts';
import type { DoorbellActor } from '../../runtime/scheduling/actor.ts';
import { runOnDoorbell } from '../../runtime/scheduling/run-loop.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { formatJournal, JournalReader } from '../../runtime/storage/journal-ring.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import { connectionOf } from '../connection.ts';
import type { Context } from '../context.ts';
import { writeWords } from '../messages.ts';
import { JOURNAL, STORE_STATUS } from '../regions.ts';
import { DURABLE, LOG_WRITTEN, REPLIED } from '../trace.ts';
import { CommitActor } from './commit-actor.ts';
import { FlushActor } from './flush-actor.ts';
import { LogWriter } from './log.ts';
import { DirtyObjects } from './objects.ts';
import { checkpoint, type Recovered, recover, startJournal } from './recovery.ts';
import { TreeState } from './tree-state.ts';

const FIRST = 'io-0';

/** Brings the tree into shared memory. Throws the sentence that says why it cannot be done. */
function recoverTree(context: Context, disk: HostDisk, tree: TreeState, status: StoreStatus): Recovered {
  const { identity } = context.settings;
  const region = context.arena.region(JOURNAL);
  formatJournal(region, 1);
  const recovered = recover(disk, identity, tree, context.clock);
  if (typeof recovered === 'string') throw new Error(`the store cannot be recovered: ${recovered}`);
  for (const damage of recovered.damagedCheckpoints) {
    context.logger.error(damage, 'a damaged checkpoint was passed over');
  }
  startJournal(region, recovered, context.clock);
  const { checkpointLsn, replayedTransactions, replayedRecords, tornBytes, orphans, milliseconds } =
    recovered;
  status.write({
    checkpointLsn,
    replayedTransactions,
    replayedRecords,
    tornBytes,
    orphans,
    recoveryMs: milliseconds,
  });
  context.logger.info({ checkpointLsn, replayedTransactions, tornBytes, orphans, milliseconds }, 'recovered');
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

function commitActor(context: Context, disk: HostDisk): DoorbellActor {
  const { settings, arena, clock, logger, topology } = context;
  const { store } = settings.config;
  const status = new StoreStatus(arena.region(STORE_STATUS));
  const tree = new TreeState(context);
  const recovered = recoverTree(context, disk, tree, status);
  tree.sendVectors();
  const journal = new JournalReader(arena.region(JOURNAL));
  serveReadOnly(context, recovered, status, journal);
  const writeCheckpoint = (lsn: number): number => checkpoint(disk, settings.identity, tree, lsn, clock);
  const others = topology.ofKind('io').filter(({ name }) => name !== FIRST);
  const reply = new Reply(new ArrayBuffer(64), 0, 64);
  const log = new LogWriter(disk, {
    uuid: settings.identity.bytes,
    segmentBytes: store.log_segment,
    nextSequence: recovered.nextSequence,
    lastLsn: recovered.lastLsn,
  });
  return new CommitActor({
    journal,
    log,
    objects: new DirtyObjects(disk),
    status,
    clock,
    others: others.length,
    intervalMs: store.commit_interval_ms,
    ports: {
      reply(uniqueLo, uniqueHi, errno) {
        reply.beginUnique(uniqueLo, uniqueHi);
        if (errno === 0) reply.ok(0);
        else reply.error(-errno);
        sendTo(connectionOf(context), reply);
        context.trace.record(REPLIED, uniqueLo, uniqueHi, errno);
      },
      logWritten: () => context.trace.record(LOG_WRITTEN, 0, 0, 0),
      logDurable: () => context.trace.record(DURABLE, 0, 0, 0),
      toMain: (kind, first, second) => writeWords(context.outbox('main'), kind, first, second),
      toOthers(kind, first) {
        for (const { name } of others) writeWords(context.outbox(name), kind, first);
      },
      checkpoint: writeCheckpoint,
      failed: (errno, doing) => logger.fatal({ errno, doing }, 'the store failed: it can only be read now'),
    },
  });
}

function flushActor(context: Context, disk: HostDisk): DoorbellActor {
  const { settings, arena, clock } = context;
  return new FlushActor({
    journal: new JournalReader(arena.region(JOURNAL)),
    objects: new DirtyObjects(disk),
    status: new StoreStatus(arena.region(STORE_STATUS)),
    clock,
    intervalMs: settings.config.store.commit_interval_ms,
    toFirst: (kind, first, second) => writeWords(context.outbox(FIRST), kind, first, second),
  });
}

export function run(context: Context): void {
  const disk = new HostDisk(context.settings.store);
  runOnDoorbell(context, context.name === FIRST ? commitActor(context, disk) : flushActor(context, disk));
}
