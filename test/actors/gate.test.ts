/** Gate, steps and tap of an actor on a thread of its own, in each run loop. */
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Arena } from '../../runtime/memory/arena.ts';
import { doorbellOf, Mailbox, Outbox, planMailbox } from '../../runtime/messaging/mailbox.ts';
import { STOP } from '../../runtime/scheduling/actor.ts';
import {
  ActorState,
  actorStateBytes,
  DRILL_CRASH,
  GATE_CLOSED,
  GATE_OPEN,
  READY,
  STOPPED,
} from '../../runtime/scheduling/actor-state.ts';
import { TAP_BYTES, TapReader, tapsBytes } from '../../runtime/scheduling/tap.ts';
import { eventfd } from '../../runtime/system/libc.ts';
import { COUNT, type Kind } from './run-loop-actor.ts';

const LANE_BYTES = 4096;
let arena: Arena;
let worker: Worker;

beforeEach(() => {
  arena = Arena.create([
    { name: 'mailbox', bytes: planMailbox(2, LANE_BYTES) },
    { name: 'states', bytes: actorStateBytes(1) },
    { name: 'words', bytes: 64 },
    { name: 'taps', bytes: tapsBytes(1) },
  ]);
  Mailbox.format(arena.region('mailbox'), 2, LANE_BYTES);
});
afterEach(() => worker.terminate());

const state = (): ActorState => new ActorState(arena.region('states'), 0);
const counted = (): number => Atomics.load(arena.region('words').i32, 0);
const pause = (ms: number): Promise<void> => new Promise((resume) => setTimeout(resume, ms));

/** Polls: nothing here takes this long unless it never comes. */
async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !condition(); i++) await pause(10);
  expect(condition()).toBe(true);
}

async function start(kind: Kind): Promise<{ main: Outbox; other: Outbox }> {
  worker = new Worker(new URL('./run-loop-actor.js', import.meta.url), {
    workerData: { buffer: arena.buffer, kind, eventfd: eventfd() },
  });
  expect(await state().reached(READY, 10_000)).toBe(READY);
  const [main, other] = [0, 1].map((lane) => new Outbox(arena.region('mailbox'), lane));
  return { main: main!, other: other! };
}

function setGate(gate: number): void {
  state().gate = gate;
  doorbellOf(arena.region('mailbox')).ring();
}

function send(outbox: Outbox, count: number): void {
  for (let i = 0; i < count; i++) outbox.f64[outbox.claimOrWait(COUNT, 100) >> 3] = i;
  outbox.send();
}

/** The thread has seen the gate: it has begun two turns since. */
async function turned(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) {
    const before = state().heartbeat;
    doorbellOf(arena.region('mailbox')).ring();
    await until(() => state().heartbeat !== before);
  }
}

// A fuse actor's mailbox has a lane from main alone; what it steps through are requests.
describe.each(['doorbell', 'event loop'] as const)('the %s kind', (kind) => {
  test('with its gate closed takes what main sends and nothing else, beats, and goes on where it was', async () => {
    const { main, other } = await start(kind);
    setGate(GATE_CLOSED);
    await turned();
    send(other, 10);
    send(main, 3);
    await until(() => counted() === 3);
    const beats = state().heartbeat;
    await until(() => state().heartbeat > beats);
    expect(counted()).toBe(3);
    setGate(GATE_OPEN);
    await until(() => counted() === 13);
  });

  test('takes as many messages as it may step, those that come later too, and is closed then', async () => {
    const { other } = await start(kind);
    setGate(GATE_CLOSED);
    await turned();
    send(other, 5);
    setGate(3);
    await until(() => state().gate === GATE_CLOSED);
    expect(counted()).toBe(3);
    setGate(4);
    await until(() => counted() === 5);
    await turned();
    expect(state().gate).toBe(2);
    send(other, 5);
    await until(() => state().gate === GATE_CLOSED);
    expect(counted()).toBe(7);
  });

  test('obeys STOP with its gate closed, and has then taken everything', async () => {
    const { main, other } = await start(kind);
    setGate(GATE_CLOSED);
    await turned();
    send(other, 8);
    main.claimOrWait(STOP, 0);
    main.send();
    expect(await state().reached(STOPPED, 10_000)).toBe(STOPPED);
    expect(counted()).toBe(8);
  });
});

describe.each(['doorbell', 'event loop', 'system call'] as const)('the %s kind', (kind) => {
  test('copies what it takes while it is tapped, and only then', async () => {
    const { main, other } = await start(kind);
    const reader = new TapReader(arena.region('taps'), 0);
    send(main, 2);
    await until(() => counted() === 2);
    expect(reader.next()).toBeUndefined();
    state().tapped = true;
    send(other, 3);
    await until(() => counted() === 5);
    for (let i = 0; i < 3; i++) {
      const message = reader.next()!;
      expect(message).toMatchObject({ kind: COUNT, lane: 1, length: 100 });
      expect(message.bytes.length).toBe(TAP_BYTES);
      expect(new Float64Array(message.bytes.buffer, 0, 1)[0]).toBe(i);
      expect(Math.abs(message.at / 1000 - Date.now())).toBeLessThan(60_000);
    }
    state().tapped = false;
    send(other, 1);
    await until(() => counted() === 6);
    expect(reader.next()).toBeUndefined();
  });

  test('never waits for a watcher: what that one does not read in time is lost to it, and counted', async () => {
    const { main } = await start(kind);
    const reader = new TapReader(arena.region('taps'), 0);
    state().tapped = true;
    send(main, 5000);
    await until(() => counted() === 5000);
    let read = 0;
    while (reader.next()) read++;
    expect(read + reader.lost).toBe(5000);
    expect(reader.lost).toBeGreaterThan(0);
  });

  test('has the fault that was ordered as a drill, paused or not', async () => {
    await start(kind);
    setGate(GATE_CLOSED);
    const failed = new Promise<Error>((resolve) => worker.on('error', resolve));
    state().orderDrill(DRILL_CRASH);
    doorbellOf(arena.region('mailbox')).ring();
    expect((await failed).message).toContain('drill');
  });
});

test('the system call kind stands at its gate, obeys main there, and stops when it is told', async () => {
  const { main } = await start('system call');
  setGate(GATE_CLOSED);
  await until(() => state().parked);
  const beats = state().heartbeat;
  await until(() => state().heartbeat > beats + 2);
  send(main, 2);
  await until(() => counted() === 2);
  setGate(GATE_OPEN);
  await until(() => !state().parked);
  setGate(GATE_CLOSED);
  main.claimOrWait(STOP, 0);
  main.send();
  expect(await state().reached(STOPPED, 10_000)).toBe(STOPPED);
});
