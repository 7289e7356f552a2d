/**
 * Entry of the thread that makes one checkpoint in the background and ends. It shares no memory with anybody and holds
 * no lock: if it ends early, what it has written is deleted by the next one.
 */
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../runtime/clock.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { nameThread, threadId } from '../../runtime/system/libc.ts';
import type { CheckpointNews, CheckpointOrder, CheckpointOutcome } from '../checkpoint-order.ts';
import { makeCheckpoint, settle } from './background-checkpoint.ts';

const { store, identity, maxFiles, budget, inlineLimit, shards, untilLsn, isDiskFull } =
  workerData as CheckpointOrder;
const disk = new HostDisk(store);
const main = parentPort!;

function tell(news: CheckpointNews): void {
  main.postMessage(news);
}

function make(): CheckpointOutcome {
  const capacity = { maxFiles, budget, inlineLimit };
  const thread = threadId();
  const progress = (doing: string): void => tell({ kind: 'progress', doing, thread });
  try {
    return makeCheckpoint(disk, identity, { capacity, untilLsn, shards, isDiskFull, progress }, systemClock);
  } catch (error) {
    // Memory that cannot be had, most likely.
    return { kind: 'failed', reason: (error as Error).message };
  }
}

nameThread('checkpoint');
setPriority(constants.priority.PRIORITY_LOW);
const outcome = make();
if (outcome.kind === 'made') {
  main.once('message', () => {
    tell({ kind: 'settled', errno: -settle(disk, identity, outcome.damaged, isDiskFull) });
    main.close();
  });
}
tell(outcome);
