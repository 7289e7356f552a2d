/**
 * Runs a scenario's threads through every interleaving of their atomic operations: depth first, each schedule from the
 * start (M. Musuvathi and S. Qadeer, "Iterative Context Bounding", PLDI 2007). With `preemptions`, through every one
 * that takes the turn from a thread that could go on at most so often. Sequentially consistent: reorderings by
 * the CPU are not explored.
 *
 * A scenario's mortal thread also stops for ever at each of its steps, once per schedule; plain stores are steps too then.
 * With an heir it may stop at any moment, also while it is parked or has been woken; then, and not before, the heir runs
 * beside the others.
 */
import { Worker } from 'node:worker_threads';
import {
  ADDRESS,
  add,
  awaitChange,
  BLOCKED,
  DIES,
  ERROR_BYTES,
  ERROR_LENGTH,
  FAILED,
  IDLE,
  LINE,
  load,
  MORE_STEPS,
  NOTIFIED,
  NOTIFY_COUNT,
  notify,
  PAUSED,
  RUNNING,
  STATE,
  STORING,
  store,
  TURN,
  VALUE,
  YIELDED,
} from './control.ts';
import { memoryOver } from './scenario.ts';
import { scenarios } from './scenarios.ts';

/** A place in the schedule where the turn could have gone to several threads. */
interface Choice {
  readonly options: readonly number[];
  taken: number;
}

const chosen = ({ options, taken }: Choice): number => options[taken]!;

const LONGEST_SCHEDULE = 2000;
/** The choice that thread 0 dies; + n for thread n. */
const DEATH = 100;

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

  /** Returns how many of `steps` the thread did: fewer when others have to be looked at first. */
  function give(thread: number, steps = 1): number {
    store(control, thread * LINE + MORE_STEPS, steps - 1);
    store(control, thread * LINE + STATE, RUNNING);
    add(control, thread * LINE + TURN, 1);
    notify(control, thread * LINE + TURN);
    awaitChange(control, thread * LINE + STATE, RUNNING);
    if (state(thread) === FAILED) {
      throw new Error(new TextDecoder().decode(errors.slice(0, word(thread, ERROR_LENGTH))));
    }
    if (state(thread) === BLOCKED) waiting.push(thread);
    const done = steps - word(thread, MORE_STEPS);
    const notified = word(thread, NOTIFIED) - 1;
    if (notified < 0) return done;
    store(control, thread * LINE + NOTIFIED, 0);
    for (let count = word(thread, NOTIFY_COUNT); count > 0; count--) {
      const first = waiting.findIndex((waiter) => word(waiter, ADDRESS) === notified);
      if (first < 0) break;
      store(control, waiting.splice(first, 1)[0]! * LINE + STATE, PAUSED);
    }
    return done;
  }

  /** The thread stops where it is, which may be a wait; the heir begins. */
  function end(thread: number): void {
    const at = waiting.indexOf(thread);
    if (at >= 0) waiting.splice(at, 1);
    store(control, thread * LINE + DIES, 1);
    give(thread);
    if (scenario.heir) give(heir);
  }

  function runnable(thread: number): boolean {
    if (state(thread) === YIELDED) return memory.i32[word(thread, ADDRESS) / 4] !== word(thread, VALUE);
    return state(thread) === PAUSED || state(thread) === STORING;
  }

  /** One schedule: `path` first, then whoever can go on; appends the choices it meets. */
  function run(path: Choice[]): void {
    memory.u8.fill(0);
    scenario.setup(memory);
    waiting.length = 0;
    for (let thread = 0; thread < living; thread++) give(thread);
    let current = -1;
    let left = preemptions;
    let alive = true;
    for (let step = 0; ; step++) {
      const able = [...Array(threads).keys()].filter(runnable);
      const mayEnd = alive && scenario.heir !== undefined && state(scenario.mortal!) !== IDLE;
      if (able.length === 0 && !mayEnd) break;
      const goesOn = able.includes(current);
      const mayYield = goesOn && left > 0 && state(current) !== STORING;
      const options = goesOn ? [current, ...able.filter((t) => mayYield && t !== current)] : able;
      if (mayEnd) options.push(scenario.mortal! + DEATH);
      else if (goesOn && current === scenario.mortal && alive) options.push(current + DEATH);
      if (step === path.length) path.push({ options, taken: 0 });
      const next = chosen(path[step]!);
      if (step > LONGEST_SCHEDULE) throw new Error('the threads do not come to an end');
      if (next >= DEATH) {
        alive = false;
        end(next - DEATH);
        if (current === next - DEATH) current = -1;
        continue;
      }
      if (goesOn && next !== current) left--;
      current = next;
      let steps = 1;
      while (step + steps < path.length && chosen(path[step + steps]!) === next) steps++;
      step += give(current, steps) - 1;
    }
    for (let thread = 0; thread < threads; thread++) {
      if (state(thread) !== IDLE) throw new Error(`deadlock: thread ${thread} waits and nobody will wake it`);
    }
    scenario.check(memory, alive);
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
    const schedule = path.map(chosen).join('');
    throw new Error(`${name}, schedule ${schedule}: ${(error as Error).message}`, { cause: error });
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return schedules;
}
