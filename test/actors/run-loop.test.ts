/** The three run loops on threads of their own, messages through real mailboxes. */
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Arena } from '../../runtime/memory/arena.ts';
import { Mailbox, Outbox, planMailbox } from '../../runtime/messaging/mailbox.ts';
import { STOP } from '../../runtime/scheduling/actor.ts';
import { ActorState, actorStateBytes, READY, STOPPED } from '../../runtime/scheduling/actor-state.ts';
import { eventfd } from '../../runtime/system/libc.ts';
import { COUNT, GOODBYES, type Kind, SLOW_STOP_MS, STOPPED_AFTER } from './run-loop-actor.ts';

const LANES = 2;
const LANE_BYTES = 4096;
let arena: Arena;
let worker: Worker;
let exited: Promise<number>;

function reserve(): void {
  arena = Arena.create([
    { name: 'mailbox', bytes: planMailbox(LANES, LANE_BYTES) },
    { name: 'states', bytes: actorStateBytes(1) },
    { name: 'words', bytes: 64 },
  ]);
  Mailbox.format(arena.region('mailbox'), LANES, LANE_BYTES);
}

async function renew(): Promise<void> {
  await worker.terminate();
  reserve();
}

beforeEach(reserve);
afterEach(() => worker.terminate());

const state = (): ActorState => new ActorState(arena.region('states'), 0);
const word = (index: number): number => Atomics.load(arena.region('words').i32, index);

async function start(kind: Kind): Promise<Outbox[]> {
  worker = new Worker(new URL('./run-loop-actor.js', import.meta.url), {
    workerData: { buffer: arena.buffer, kind, eventfd: eventfd() },
  });
  exited = new Promise((resolve) => worker.on('exit', resolve));
  expect(await state().reached(READY, 10_000)).toBe(READY);
  return [0, 1].map((lane) => new Outbox(arena.region('mailbox'), lane));
}

function send(outbox: Outbox, count: number, quietly = false): void {
  for (let i = 0; i < count; i++) outbox.claimOrWait(COUNT, 8);
  if (quietly) outbox.post();
  else outbox.send();
}

async function stop(outbox: Outbox): Promise<void> {
  outbox.claimOrWait(STOP, 0);
  outbox.send();
  expect(await state().reached(STOPPED, 10_000)).toBe(STOPPED);
}

/** A loop that is not woken looks again after this. */
const LONGEST_SLEEP_MS = 1000;

/** The shortest time of a few attempts that something took, ms: a busy machine makes single ones late. */
async function atBest(attempt: () => Promise<number>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 5 && best >= LONGEST_SLEEP_MS - 100; n++) {
    if (n > 0) await renew();
    best = Math.min(best, await attempt());
  }
  return best;
}

/** How long a loop that sleeps takes to obey, ms. */
async function stopAsleep(kind: Kind): Promise<number> {
  const [first] = await start(kind);
  while (!state().parked && kind !== 'system call') await new Promise((resume) => setTimeout(resume, 5));
  await new Promise((resume) => setTimeout(resume, 50));
  const asked = performance.now();
  await stop(first!);
  return performance.now() - asked;
}

describe.each(['doorbell', 'event loop', 'system call'] as const)('the %s kind', (kind) => {
  test('handles everything that came before STOP, of all lanes, then stops once, and its thread ends', async () => {
    const [first, second] = await start(kind);
    send(first!, 1000);
    send(second!, 1000, true);
    await stop(first!);
    expect(word(0)).toBe(2000);
    expect(word(STOPPED_AFTER)).toBe(2000);
    expect(word(GOODBYES)).toBe(1);
    expect(await exited).toBe(0);
  });

  test('is woken by STOP while it sleeps', async () => {
    expect(await atBest(() => stopAsleep(kind))).toBeLessThan(LONGEST_SLEEP_MS - 100);
  });

  test('a handler that throws ends the thread with the error', async () => {
    const [first] = await start(kind);
    const failed = new Promise<Error>((resolve) => worker.on('error', resolve));
    first!.claimOrWait(99, 0);
    first!.send();
    expect((await failed).message).toContain('kind 99');
    expect(state().get()).toBe(READY);
  });
});

test('the event loop kind goes on handling messages while its stop is under way', async () => {
  const [first, second] = await start('event loop');
  first!.claimOrWait(STOP, 0);
  first!.send();
  await new Promise((resume) => setTimeout(resume, SLOW_STOP_MS / 3));
  send(second!, 5000);
  expect(await state().reached(STOPPED, 10_000)).toBe(STOPPED);
  expect(word(0)).toBe(5000);
});

test('a message that was posted quietly is handled within the longest sleep', async () => {
  const handled = async (): Promise<number> => {
    const [first] = await start('event loop');
    await new Promise((resume) => setTimeout(resume, 50));
    send(first!, 1, true);
    const posted = performance.now();
    while (word(0) === 0) await new Promise((resume) => setTimeout(resume, 5));
    return performance.now() - posted;
  };
  expect(await atBest(handled)).toBeLessThan(LONGEST_SLEEP_MS - 100);
});
