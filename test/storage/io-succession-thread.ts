/**
 * io-0 on a thread of its own, the first or a successor, over a real disk, mailbox and pending requests. Word 0 of
 * 'answers': requests answered before their LSN (the upper half of their unique id) was durable; word n: how often n was
 * answered.
 */
import { workerData } from 'node:worker_threads';
import { CommitActor } from '../../actors/io/commit-actor.ts';
import { DirtyObjects } from '../../actors/io/objects.ts';
import { resumeLog } from '../../actors/io/resume.ts';
import { LogWriter } from '../../actors/log-writer.ts';
import { SYNC } from '../../actors/messages.ts';
import { Pending } from '../../actors/pending.ts';
import { systemClock } from '../../runtime/clock.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { Mailbox } from '../../runtime/messaging/mailbox.ts';
import type { ActorContext } from '../../runtime/scheduling/actor.ts';
import { ActorState } from '../../runtime/scheduling/actor-state.ts';
import { runOnDoorbell } from '../../runtime/scheduling/run-loop.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { JournalReader } from '../../runtime/storage/journal-ring.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import { watchOf } from './space.ts';

const { buffer, directory, isSuccessor } = workerData as {
  buffer: SharedArrayBuffer;
  directory: string;
  isSuccessor: boolean;
};
const arena = Arena.attach(buffer);
const answers = arena.region('answers').u32;
const disk = new HostDisk(directory);
const uuid = new Uint8Array(16);
const journal = new JournalReader(arena.region('journal'));
const resumed = isSuccessor ? resumeLog(disk, uuid, journal) : { lastLsn: 0, nextSequence: 1 };
if (typeof resumed === 'string') throw new Error(resumed);
const pending = new Pending(arena.region('pending'), 0, systemClock.monotonic);
if (isSuccessor) pending.adopt();
const log = new LogWriter(disk, { uuid, segmentBytes: 100_000, ...resumed });
const actor = new CommitActor({
  journal,
  log,
  space: watchOf({ disk, journal, log, clock: systemClock }),
  objects: new DirtyObjects(disk, isSuccessor),
  status: new StoreStatus(arena.region('store-status')),
  clock: systemClock,
  others: 0,
  intervalMs: 1000,
  ports: {
    reply(lo, hi, errno, slot) {
      if (!pending.take(slot, lo, hi)) return;
      if (log.durableLsn < hi || errno !== 0) Atomics.add(answers, 0, 1);
      Atomics.add(answers, lo, 1);
      pending.answered(slot);
    },
    toMain: () => {},
    toOther: () => {},
    incarnationOf: () => 1,
    patience: () => {},
    checkpoint: () => 0,
    newestCheckpoint: () => 0,
    resumeLog: () => 0,
    rebuild: () => 0,
    failed: () => {},
  },
});
if (isSuccessor) pending.each(SYNC, (slot, lo, hi) => actor.takeUp(lo, hi, slot));
const context = {
  name: 'io-0',
  arena,
  mailbox: new Mailbox(arena.region('mailbox')),
  state: new ActorState(arena.region('state'), 0),
} as unknown as ActorContext<unknown>;
runOnDoorbell(context, actor);
