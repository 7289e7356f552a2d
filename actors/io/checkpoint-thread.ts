/**
 * Entry of the thread that makes one checkpoint in the background and ends. It shares no memory with anybody and holds
 * no lock: if it ends early, what it has written is deleted by the next one.
 */
import { constants, setPriority } from 'node:os';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../runtime/clock.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { nameThread, threadId } from '../../runtime/system/libc.ts';
import type { CheckpointNews, CheckpointOrder, CheckpointOutcome, Ended } from '../checkpoint-order.ts';
import { makeCheckpoint, settle } from './background-checkpoint.ts';

const { store, identity, maxFiles, budget, inlineLimit, shards, untilLsn, isDiskFull } =
  workerData as CheckpointOrder;
/** Between two looks for an answer of main. */
const ANSWER_MS = 5;

const disk = new HostDisk(store);
const main = parentPort!;

function tell(news: CheckpointNews): void {
  main.postMessage(news);
}

/** Waits as whoever calls it does not: nothing else happens in this thread. */
function endedOf(inodes: Uint32Array): Ended {
  tell({ kind: 'unnamed', inodes });
  const cell = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    const answer = receiveMessageOnPort(main) as { message: Ended } | undefined;
    if (answer !== undefined) return answer.message;
    Atomics.wait(cell, 0, 0, ANSWER_MS);
  }
}

function make(): CheckpointOutcome {
  const capacity = { maxFiles, budget, inlineLimit };
  const thread = threadId();
  const progress = (doing: string): void => tell({ kind: 'progress', doing, thread });
  try {
    const options = { capacity, untilLsn, shards, isDiskFull, endedOf, progress };
    return makeCheckpoint(disk, identity, options, systemClock);
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
