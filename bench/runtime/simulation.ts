/**
 * Many workers in virtual time: the real task board and the real policy, with tasks that only say how long they would take.
 * Deterministic, and independent of the machine.
 */
import { Arena } from '../../runtime/memory/arena.ts';
import { READY } from '../../runtime/scheduling/actor-state.ts';
import { formatBoard, planBoard } from '../../runtime/scheduling/board-layout.ts';
import { victimsOf, WAKE_MS } from '../../runtime/scheduling/steal-policy.ts';
import { TaskBoard } from '../../runtime/scheduling/task-board.ts';
import { randomFrom } from '../../test/seed.ts';
import type { Part, Sample } from './measure.ts';

const WORKERS = 16;
const TASKS = 4000;
const TASK_KIND = 16;
/** Perfect balance over what was reached: within a tenth. */
const LEAST = 1 / 1.1;

interface Worker {
  readonly board: TaskBoard;
  /** Durations of tasks that have no place on the board yet, milliseconds. */
  readonly backlog: number[];
  /** When it looks for work next; Infinity while it sleeps. */
  at: number;
  busy: number;
}

export interface Outcome {
  /** Virtual milliseconds until the last task was done. */
  readonly makespan: number;
  /** The same if all workers had been busy all the time. */
  readonly perfect: number;
}

/** `share`: how much of the work the first worker is given; the others have the rest in equal parts. */
export function simulate(share: number, steal: boolean, seed = 1, workers = WORKERS, tasks = TASKS): Outcome {
  const region = Arena.create([{ name: 'board', bytes: planBoard(workers, 8) }]).region('board');
  formatBoard(region, workers, 8);
  const f64 = region.f64;
  const random = randomFrom(seed);
  let now = 0;
  const states = Array.from({ length: workers }, () => ({ incarnation: 1, get: () => READY }));
  const all: Worker[] = [];
  for (let self = 0; self < workers; self++) {
    const board = new TaskBoard(region, {
      self,
      victims: victimsOf(self, workers),
      states,
      ring: (worker) => {
        all[worker]!.at = Math.min(all[worker]!.at, now + WAKE_MS);
      },
      now: () => now,
    });
    board.stealing = steal;
    all.push({ board, backlog: [], at: 0, busy: 0 });
  }
  let work = 0;
  for (let task = 0; task < tasks; task++) {
    const duration = 0.5 + random() ** 2 * 3;
    const owner = random() < share ? 0 : 1 + Math.floor(random() * (workers - 1));
    all[owner]!.backlog.push(duration);
    work += duration;
  }
  let makespan = 0;
  for (;;) {
    const next = all.reduce((first, worker) => (worker.at < first.at ? worker : first));
    if (next.at === Number.POSITIVE_INFINITY) break;
    now = next.at;
    turn(next, f64, now);
    if (next.at > now && next.at < Number.POSITIVE_INFINITY) makespan = Math.max(makespan, next.at);
  }
  return { makespan, perfect: work / workers };
}

/** What a shard does in a turn: post what there is room for, wake who is wanted, do one task. */
function turn(worker: Worker, f64: Float64Array, now: number): void {
  const { board, backlog } = worker;
  if (worker.busy > 0) board.done();
  worker.busy = 0;
  let posted = 0;
  for (; posted < backlog.length; posted++) {
    const at = board.claim(TASK_KIND, 8);
    if (at < 0) break;
    f64[at >> 3] = backlog[posted]!;
    board.post();
  }
  backlog.splice(0, posted);
  if (posted > 0) board.wake();
  if (board.next()) {
    worker.busy = f64[board.offset >> 3]!;
    worker.at = now + worker.busy;
  } else worker.at = Number.POSITIVE_INFINITY;
}

export function simulation(): Part {
  const subject = 'stealing';
  const peers = [subject, 'no stealing'];
  const shares = [
    { name: `${WORKERS} workers, 90 % of the work on one: share of perfect balance`, share: 0.9 },
    { name: `${WORKERS} workers, half of the work on one`, share: 0.5 },
    { name: `${WORKERS} workers, the work spread evenly`, share: 1 / WORKERS },
  ];
  const samples = shares.flatMap(({ name, share }) =>
    peers.map((peer): Sample => {
      const { makespan, perfect } = simulate(share, peer === subject);
      return { round: 0, row: name, peer, value: perfect / makespan };
    }),
  );
  return {
    name: 'simulation',
    rows: shares.map(({ name }, i) => ({
      name,
      unit: '×',
      subject,
      peers,
      ...(i === 0 && { least: LEAST }),
    })),
    notes: [
      `Virtual time: ${TASKS.toLocaleString('en')} tasks of 0.5 to 3.5 ms are there at the beginning; waking a worker takes ${WAKE_MS} ms. The time of perfect balance over the time it took.`,
    ],
    samples,
  };
}
