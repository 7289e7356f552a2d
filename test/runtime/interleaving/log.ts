/** Who may write the log, and what they know of the objects that its records depend on. */
import { threadId } from 'node:worker_threads';
import { LogState } from '../../../actors/log-state.ts';
import type { Region } from '../../../runtime/memory/arena.ts';
import { expect, FLAG, NO_SPIN, nothing, type Scenario } from './scenario.ts';

/** Words beside the state: an object's bytes, those of it that are durable, its message to io-0; records published, and durable. */
const WRITTEN = FLAG;
const FLUSHED = FLAG + 1;
const MESSAGE = FLAG + 2;
const PUBLISHED = FLAG + 3;
const DURABLE = FLAG + 4;
/** Two words of the log that change together, and who is going to end. */
const FIRST = FLAG + 5;
const SECOND = FLAG + 6;
const MORTAL_ID = FLAG + 7;

function commit(i32: Int32Array, limit: number): void {
  expect(Atomics.load(i32, FLUSHED) >= limit, 'an object is durable before the record that depends on it');
  Atomics.store(i32, DURABLE, limit);
}

function writer({ i32, f64 }: Region): () => void {
  const state = new LogState({ i32, f64 }, NO_SPIN);
  return () => {
    Atomics.store(i32, WRITTEN, 1);
    Atomics.store(i32, MESSAGE, 1);
    state.dirtied();
    Atomics.store(i32, PUBLISHED, 1);
  };
}

/** `isHasty`: what has become dirty until the end of the flush counts as flushed. */
function ioActor(isHasty: boolean): (memory: Region) => () => void {
  return ({ i32, f64 }) => {
    const state = new LogState({ i32, f64 }, NO_SPIN);
    return () => {
      const limit = Atomics.load(i32, PUBLISHED);
      const dirtied = state.dirtiedCount;
      if (Atomics.load(i32, MESSAGE) === 1) Atomics.store(i32, FLUSHED, Atomics.load(i32, WRITTEN));
      state.flushed(isHasty ? state.dirtiedCount : dirtied);
      state.take();
      if (Atomics.load(i32, DURABLE) < limit) commit(i32, limit);
      state.leave();
    };
  };
}

function fuseActor({ i32, f64 }: Region): () => void {
  const state = new LogState({ i32, f64 }, NO_SPIN);
  return () => {
    if (!state.tryTake()) return;
    const limit = Atomics.load(i32, PUBLISHED);
    if (state.objectsAreDurable) commit(i32, limit);
    state.leave();
  };
}

/** One that may end between the two stores, and is then only gone on with by io-0. */
function appends({ i32, f64 }: Region): () => void {
  const state = new LogState({ i32, f64 }, NO_SPIN);
  i32[MORTAL_ID] = threadId;
  return () => {
    if (!state.tryTake()) return;
    expect(Atomics.load(i32, FIRST) === Atomics.load(i32, SECOND), 'the log is whole');
    Atomics.add(i32, FIRST, 1);
    Atomics.add(i32, SECOND, 1);
    state.leave();
  };
}

function resumes({ i32, f64 }: Region): () => void {
  const state = new LogState({ i32, f64 }, NO_SPIN);
  return () => {
    const isWhole = state.take();
    const first = Atomics.load(i32, FIRST);
    expect(!isWhole || first === Atomics.load(i32, SECOND), 'a log that is not whole is known to be so');
    Atomics.store(i32, SECOND, first);
    Atomics.add(i32, FIRST, 1);
    Atomics.add(i32, SECOND, 1);
    state.leave();
  };
}

function breaksLock({ i32, f64 }: Region): () => void {
  const state = new LogState({ i32, f64 }, NO_SPIN);
  return () => void state.breakFor(i32[MORTAL_ID]!);
}

function checkWhole({ i32, f64 }: Region): void {
  const isWhole = i32[FIRST] === i32[SECOND] && i32[FIRST]! >= 1;
  expect(
    isWhole || !new LogState({ i32, f64 }).tryTake(),
    'the log is whole, or nobody but io-0 goes on with it',
  );
}

export const log: Record<string, Scenario> = {
  'log state, an object is written while io-0 and a fuse actor commit': {
    bytes: 4096,
    threads: [writer, ioActor(false), fuseActor],
    setup: nothing,
    check: nothing,
  },
  'log state, dirty during a flush counts as flushed': {
    bytes: 4096,
    threads: [writer, ioActor(true), fuseActor],
    setup: nothing,
    check: nothing,
  },
  'log state, a fuse actor ends while it appends': {
    bytes: 4096,
    threads: [appends, resumes],
    mortal: 0,
    heir: breaksLock,
    setup: nothing,
    check: checkWhole,
  },
};
