/** io-0's commit actor over a store's directory, for tests that run it a step at a time. */
import type { Context } from '../../actors/context.ts';
import { CommitActor } from '../../actors/io/commit-actor.ts';
import { DirtyObjects } from '../../actors/io/objects.ts';
import { checkpoint } from '../../actors/io/recovery.ts';
import type { TreeState } from '../../actors/io/tree-state.ts';
import { LogWriter } from '../../actors/log-writer.ts';
import * as messages from '../../actors/messages.ts';
import { JOURNAL, STORE_STATUS } from '../../actors/regions.ts';
import { systemClock } from '../../runtime/clock.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { JournalReader } from '../../runtime/storage/journal-ring.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import { watchOf } from '../storage/space.ts';

export function openCommitActor(io: Context, store: string, tree: TreeState): CommitActor {
  const { arena, settings, outbox } = io;
  const disk = new HostDisk(store);
  const toMain = (kind: number, first: number, second: number): void =>
    messages.writeWords(outbox('main'), kind, first, second);
  const journal = new JournalReader(arena.region(JOURNAL));
  const { bytes: uuid } = settings.identity;
  const log = new LogWriter(disk, { uuid, segmentBytes: 20_000, nextSequence: 1, lastLsn: 0 });
  return new CommitActor({
    journal,
    log,
    space: watchOf({ disk, journal, log, clock: systemClock }),
    objects: new DirtyObjects(disk),
    status: new StoreStatus(arena.region(STORE_STATUS)),
    clock: systemClock,
    others: 0,
    intervalMs: 1000,
    ports: {
      reply: () => {},
      toMain,
      toOther: () => {},
      incarnationOf: () => 1,
      patience: () => {},
      newestCheckpoint: () => 0,
      resumeLog: () => 0,
      rebuild: () => 0,
      checkpoint: (lsn) => checkpoint(disk, settings.identity, tree, lsn, systemClock),
      failed: (errno, doing) => {
        throw new Error(`${doing}: ${errno}`);
      },
    },
  });
}
