/** Calls from main to actors on threads of their own, parked in each way that there is. */
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Context } from '../../actors/context.ts';
import { Remotes } from '../../actors/main/remotes.ts';
import { ACTOR_STATES } from '../../actors/regions.ts';
import { mailboxRegion } from '../../actors/topology.ts';
import { doorbellOf } from '../../runtime/messaging/mailbox.ts';
import { ActorState, DRILL_HANG, FAILED, GATE_CLOSED, READY } from '../../runtime/scheduling/actor-state.ts';
import { answerCall } from '../../runtime/scheduling/control.ts';
import { runOnEventLoop } from '../../runtime/scheduling/run-loop.ts';
import { eventfd } from '../../runtime/system/libc.ts';
import { World } from './world.ts';

let world: World;
let main: Context;
let remotes: Remotes;
const ended = { controller: new AbortController(), loop: Promise.resolve() };
const workers: Worker[] = [];

beforeEach(() => {
  world = new World({ shards: 1, fuse: 1, io: 1 });
  main = world.actor('main');
  remotes = new Remotes(main);
  ended.controller = new AbortController();
  const { signal } = ended.controller;
  const nothing = { onMessage: () => {}, stop: () => {} };
  ended.loop = runOnEventLoop(main, nothing, { stop: signal, answered: remotes.answered });
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
  ended.controller.abort();
  await ended.loop;
});

const stateOf = (name: string): ActorState =>
  new ActorState(main.arena.region(ACTOR_STATES), main.topology.actor(name).slot);

async function start(name: string): Promise<void> {
  const data = { ...world.dataOf(name), eventfds: [eventfd()] };
  const worker = new Worker(new URL('./control-actor.js', import.meta.url), { workerData: data });
  worker.on('error', () => {});
  workers.push(worker);
  expect(await stateOf(name).reached(READY, 10_000)).toBe(READY);
}

test.each(['io-0', 'indexer', 'fuse-0'])('%s is inspected and obeys, whatever it parks on', async (name) => {
  await start(name);
  const actor = main.topology.actor(name);
  expect(await remotes.inspect(actor)).toMatchObject({ logLevel: 'silent', own: name });
  expect(await remotes.setLogLevel(actor, 'fatal')).toBe('silent');
  const facts = await Promise.all(Array.from({ length: 20 }, () => remotes.inspect(actor)));
  for (const { logLevel, heapUsed } of facts) {
    expect(logLevel).toBe('fatal');
    expect(heapUsed).toBeGreaterThan(0);
  }
});

test.each(['io-0', 'indexer', 'fuse-0'])('%s answers with its gate closed', async (name) => {
  await start(name);
  stateOf(name).gate = GATE_CLOSED;
  doorbellOf(main.arena.region(mailboxRegion(name))).ring();
  for (let i = 0; i < 3; i++)
    expect(await remotes.inspect(main.topology.actor(name))).toMatchObject({ own: name });
});

test('main inspects itself', async () => {
  expect(await remotes.inspect(main.topology.actor('main'))).toMatchObject({ logLevel: 'silent' });
});

test('an error of a method arrives as one, and what is no method is refused', async () => {
  await start('io-0');
  const actor = main.topology.actor('io-0');
  type Odd = { nonsense(): Promise<void>; constructor(): Promise<void> };
  const call = (ask: (remote: Odd) => Promise<void>): Promise<void> =>
    remotes.call(actor, (remote) => ask(remote as unknown as Odd));
  await expect(call((remote) => remote.nonsense())).rejects.toThrow('no method "nonsense"');
  await expect(remotes.setLogLevel(actor, 'loud')).rejects.toThrow(/level/);
});

test('an actor that is gone, and one that hangs, are told in a sentence', async () => {
  const actor = main.topology.actor('io-0');
  await expect(remotes.inspect(actor)).rejects.toThrow('io-0 cannot be asked: it is absent');
  await start('io-0');
  stateOf('io-0').orderDrill(DRILL_HANG);
  doorbellOf(main.arena.region(mailboxRegion('io-0'))).ring();
  await expect(remotes.inspect(actor)).rejects.toThrow(/io-0 \(ready\) did not answer within 2 s/);
  await workers.pop()!.terminate();
  stateOf('io-0').set(FAILED);
  await expect(remotes.inspect(actor)).rejects.toThrow('io-0 cannot be asked');
});

test('a control lane that is full refuses more calls at once', async () => {
  const actor = main.topology.actor('fuse-0');
  stateOf('fuse-0').set(READY);
  const refusals = await Promise.all(
    Array.from({ length: 200 }, () => remotes.inspect(actor).then(String, (error: Error) => error.message)),
  );
  expect(refusals.some((text) => text.includes('its control lane is full'))).toBe(true);
});

test('only methods of the object itself can be called, and any text is answered', () => {
  const remote = { add: (a: number, b: number) => a + b, secret: 1 };
  const call = (path: unknown, ...values: unknown[]): string => {
    const argumentList = values.map((value) => ({ type: 'RAW', value }));
    return answerCall(remote, JSON.stringify({ id: 'x', type: 'APPLY', path, argumentList }));
  };
  expect(JSON.parse(call(['add'], 1, 2))).toEqual({ id: 'x', type: 'RAW', value: 3 });
  for (const path of [['secret'], ['toString'], ['constructor'], ['add', 'call'], [], 'add', null]) {
    expect(JSON.parse(call(path))).toMatchObject({ id: 'x', type: 'HANDLER', name: 'throw' });
  }
  for (const text of ['', 'null', '{}', '[]', '{"type":"GET"}']) {
    expect(JSON.parse(answerCall(remote, text))).toMatchObject({ name: 'throw' });
  }
  expect(answerCall({ big: () => 'x'.repeat(100_000) }, '{"type":"APPLY","path":["big"]}')).toContain(
    'too many',
  );
});
