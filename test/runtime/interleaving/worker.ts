/**
 * A logical thread: runs the real code of a scenario, stopping before each atomic operation until it is given a turn.
 * Only operations on the scenario's memory are steps; what lies between two of them is part of the first.
 * In a mortal thread plain stores are steps too, by arrays that stand in for the real ones.
 */
import { workerData } from 'node:worker_threads';
import {
  ADDRESS,
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
  STATE,
  STORING,
  store,
  TURN,
  VALUE,
  YIELDED,
} from './control.ts';
import { memoryOver } from './scenario.ts';
import { scenarios } from './scenarios.ts';

type Words = Int32Array;

const { name, thread, control, buffer, errors } = workerData as {
  name: string;
  thread: number;
  control: Int32Array;
  buffer: SharedArrayBuffer;
  errors: Uint8Array;
};
const at = thread * LINE;
let turn = 0;
let stepping = false;

/** Ends a mortal thread where it stands; nothing catches it but the loop below. */
class Death extends Error {}

function pause(state: number): void {
  if ((state === PAUSED || state === STORING) && load(control, at + NOTIFIED) === 0) {
    const more = load(control, at + MORE_STEPS);
    if (more > 0) {
      store(control, at + MORE_STEPS, more - 1);
      return;
    }
  }
  store(control, at + STATE, state);
  notify(control, at + STATE);
  turn = awaitChange(control, at + TURN, turn);
  if (load(control, at + DIES) !== 0) throw new Death();
}

const original = { ...methods() };

function methods(): Record<string, (...args: never[]) => unknown> {
  const names = ['load', 'store', 'add', 'sub', 'exchange', 'compareExchange', 'wait', 'notify'] as const;
  return Object.fromEntries(
    names.map((method) => [method, Atomics[method] as (...args: never[]) => unknown]),
  );
}

const real = new WeakMap<object, object>();

/** The array with its plain stores as steps. */
function steppedArray(array: Uint8Array): Uint8Array {
  const stepped = new Proxy(array, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
    set(target, key, value) {
      if (stepping) pause(STORING);
      return Reflect.set(target, key, value, target);
    },
  });
  real.set(stepped, array);
  return stepped;
}

if (scenarios[name]!.mortal === thread) {
  for (const type of ['Uint8Array', 'Int32Array', 'Uint32Array', 'Float64Array', 'BigUint64Array']) {
    const construct = Reflect.get(globalThis, type) as typeof Uint8Array;
    const stand = new Proxy(construct, {
      construct(target, args) {
        const array = Reflect.construct(target, args) as Uint8Array;
        return (array.buffer as unknown) === buffer ? steppedArray(array) : array;
      },
    });
    Reflect.set(globalThis, type, stand);
  }
}

function addressOf(words: Words, index: number): number {
  return words.byteOffset + index * words.BYTES_PER_ELEMENT;
}

for (const method of ['load', 'store', 'add', 'sub', 'exchange', 'compareExchange']) {
  Reflect.set(Atomics, method, (words: Words, ...args: never[]) => {
    if (stepping) pause(PAUSED);
    return original[method]!(...([real.get(words) ?? words, ...args] as never[]));
  });
}

Reflect.set(Atomics, 'wait', (words: Words, index: number, value: number, timeout: number) => {
  pause(PAUSED);
  if (words[index] !== value) return 'not-equal';
  store(control, at + ADDRESS, addressOf(words, index));
  store(control, at + VALUE, value);
  const yields = timeout < 10;
  pause(yields ? YIELDED : BLOCKED);
  return yields ? 'timed-out' : 'ok';
});

Reflect.set(Atomics, 'notify', (words: Words, index: number, count = Number.POSITIVE_INFINITY) => {
  pause(PAUSED);
  store(control, at + NOTIFY_COUNT, Math.min(count, 1000));
  store(control, at + NOTIFIED, addressOf(words, index) + 1);
  return 0;
});

const memory = memoryOver(buffer);
for (;;) {
  pause(IDLE);
  try {
    const scenario = scenarios[name]!;
    const run = (scenario.threads[thread] ?? scenario.heir!)(memory);
    stepping = true;
    run();
    stepping = false;
  } catch (error) {
    stepping = false;
    store(control, at + DIES, 0);
    if (error instanceof Death) continue;
    const text = new TextEncoder().encode(String((error as Error).stack)).subarray(0, ERROR_BYTES);
    errors.set(text);
    store(control, at + ERROR_LENGTH, text.length);
    pause(FAILED);
  }
}
