/**
 * Runs a scenario's threads through every interleaving of their atomic operations: depth first, each schedule from the
 * start (M. Musuvathi and S. Qadeer, "Iterative Context Bounding", PLDI 2007). With `preemptions`, through every one
 * that takes the turn from a thread that could go on at most so often. Sequentially consistent: reorderings by
 * the CPU are not explored.
 *
 * In a scenario with an heir the first thread may also end before any of its steps, which is one more choice at each of
 * them. Then, and not before, the heir runs beside the others: whoever puts right what the first has left.
 */
import { Worker } from 'node:worker_threads';
import {
  ABANDON,
  ADDRESS,
  add,
  awaitChange,
  BLOCKED,
  ERROR_BYTES,
  ERROR_LENGTH,
  FAILED,
  IDLE,
  LINE,
  load,
  NOTIFIED,
  NOTIFY_COUNT,
  notify,
  PAUSED,
  RUNNING,
  STATE,
  store,
  TURN,
  VALUE,
  YIELDED,
} from './control.ts';
import { memoryOver, scenarios } from './scenarios.ts';

/** A place in the schedule where the turn could have gone to several threads. */
interface Choice {
  readonly options: readonly number[];
  taken: number;
}

const LONGEST_SCHEDULE = 2000;
/** The choice that the first thread ends. */
const DEATH = -1;
const MORTAL = 0;

export async function explore(name: string, preemptions = Number.POSITIVE_INFINITY): Promise<number> {
  const scenario = scenarios[name]!;
  const living = scenario.threads.length;
  const heir = living;
  const threads = living + (scenario.heir ? 1 : 0);
  const control = new Int32Array(new SharedArrayBuffer(threads * LINE * 4));
  const buffer = new SharedArrayBuffer(scenario.bytes);
  const errors = new Uint8Array(new SharedArrayBuffer(ERROR_BYTES));
  const memory = memoryOver(buffer);
  const workers = Array.from(
    { length: threads },
    (_, thread) =>
      new Worker(new URL('./worker.js', import.meta.url), {
        workerData: { name, thread, control, buffer, errors },
      }),
  );
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('online', resolve))));

  const state = (thread: number): number => load(control, thread * LINE + STATE);
  const word = (thread: number, index: number): number => load(control, thread * LINE + index);
  const waiting: number[] = [];

  function give(thread: number): void {
    store(control, thread * LINE + STATE, RUNNING);
    add(control, thread * LINE + TURN, 1);
    notify(control, thread * LINE + TURN);
    awaitChange(control, thread * LINE + STATE, RUNNING);
    if (state(thread) === FAILED) {
      throw new Error(new TextDecoder().decode(errors.slice(0, word(thread, ERROR_LENGTH))));
    }
    if (state(thread) === BLOCKED) waiting.push(thread);
    const notified = word(thread, NOTIFIED) - 1;
    if (notified < 0) return;
    store(control, thread * LINE + NOTIFIED, 0);
    for (let count = word(thread, NOTIFY_COUNT); count > 0; count--) {
      const first = waiting.findIndex((waiter) => word(waiter, ADDRESS) === notified);
      if (first < 0) break;
      store(control, waiting.splice(first, 1)[0]! * LINE + STATE, PAUSED);
    }
  }

  /** The first thread takes no more steps; nobody waits on its behalf. */
  function end(): void {
    const at = waiting.indexOf(MORTAL);
    if (at >= 0) waiting.splice(at, 1);
    give(heir);
  }

  /** Whatever a thread that ended was in the middle of is over: it can begin the next schedule. */
  function abandon(): void {
    store(control, MORTAL * LINE + ABANDON, 1);
    give(MORTAL);
  }

  function runnable(thread: number): boolean {
    if (state(thread) === YIELDED) return memory.i32[word(thread, ADDRESS) / 4] !== word(thread, VALUE);
    return state(thread) === PAUSED;
  }

  /** One schedule: `path` first, then whoever can go on; appends the choices it meets. */
  function run(path: Choice[]): void {
    memory.u8.fill(0);
    scenario.setup(memory);
    waiting.length = 0;
    for (let thread = 0; thread < living; thread++) give(thread);
    let current = -1;
    let left = preemptions;
    let dead = false;
    for (let step = 0; ; step++) {
      const able = [...Array(threads).keys()].filter((t) => runnable(t) && !(dead && t === MORTAL));
      const mayDie = scenario.heir !== undefined && !dead && state(MORTAL) !== IDLE;
      if (able.length === 0 && !mayDie) break;
      const goesOn = able.includes(current);
      const options = goesOn ? [current, ...able.filter((t) => t !== current && left > 0)] : able;
      if (step === path.length) path.push({ options: mayDie ? [...options, DEATH] : options, taken: 0 });
      const next = path[step]!.options[path[step]!.taken]!;
      if (step > LONGEST_SCHEDULE) throw new Error('the threads do not come to an end');
      if (next === DEATH) {
        dead = true;
        end();
        continue;
      }
      if (goesOn && next !== current) left--;
      current = next;
      give(current);
    }
    if (dead) abandon();
    for (let thread = 0; thread < threads; thread++) {
      if (state(thread) !== IDLE) throw new Error(`deadlock: thread ${thread} waits and nobody will wake it`);
    }
    scenario.check(memory, dead);
  }

  const path: Choice[] = [];
  let schedules = 0;
  try {
    do {
      for (let thread = 0; thread < threads; thread++) awaitChange(control, thread * LINE + STATE, RUNNING);
      run(path);
      schedules++;
      while (path.length > 0 && path.at(-1)!.taken === path.at(-1)!.options.length - 1) path.pop();
      if (path.length > 0) path.at(-1)!.taken++;
    } while (path.length > 0);
  } catch (error) {
    const schedule = path
      .map(({ options, taken }) => (options[taken] === DEATH ? '†' : options[taken]))
      .join('');
    throw new Error(`${name}, schedule ${schedule}: ${(error as Error).message}`, { cause: error });
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return schedules;
}
