/** io-0 on a thread of its own, over a real disk and a real mailbox. Word 0 of 'answers': syncs answered; 1: syncs
 * answered before their LSN (the upper half of their unique id) was durable; 2: tickets answered. */
import { workerData } from 'node:worker_threads';
import { CommitActor } from '../../actors/io/commit-actor.ts';
import { DirtyObjects } from '../../actors/io/objects.ts';
import { LogWriter } from '../../actors/log-writer.ts';
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

const { buffer, directory, slowMs } = workerData as {
  buffer: SharedArrayBuffer;
  directory: string;
  slowMs: number;
};
const nobody = new Int32Array(new SharedArrayBuffer(4));

class SlowDisk extends HostDisk {
  override fdatasync(descriptor: number): number {
    if (slowMs > 0) Atomics.wait(nobody, 0, 0, slowMs);
    return super.fdatasync(descriptor);
  }
}

const arena = Arena.attach(buffer);
const answers = arena.region('answers').u32;
const disk = new SlowDisk(directory);
const log = new LogWriter(disk, {
  uuid: new Uint8Array(16),
  segmentBytes: 100_000,
  nextSequence: 1,
  lastLsn: 0,
});
const journal = new JournalReader(arena.region('journal'));
const actor = new CommitActor({
  journal,
  log,
  space: watchOf({ disk, journal, log, clock: systemClock }),
  objects: new DirtyObjects(disk),
  status: new StoreStatus(arena.region('store-status')),
  clock: systemClock,
  others: 0,
  intervalMs: 1000,
  ports: {
    reply: (_lo, hi, errno) => {
      if (log.durableLsn < hi || errno !== 0) answers[1]!++;
      Atomics.add(answers, 0, 1);
    },
    toMain: () => Atomics.add(answers, 2, 1),
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
const context = {
  name: 'io-0',
  arena,
  mailbox: new Mailbox(arena.region('mailbox')),
  state: new ActorState(arena.region('state'), 0),
} as unknown as ActorContext<unknown>;
runOnDoorbell(context, actor);
