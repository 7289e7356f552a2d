/** What main waits for from actors that die: asked again exactly when the question was lost with the thread. */
import { beforeEach, expect, test } from 'vitest';
import type { Context } from '../../actors/context.ts';
import { MainRequests } from '../../actors/main/requests.ts';
import {
  FLUSH,
  IO_DONE,
  SAVE_SEGMENT,
  SEGMENT_LOADED,
  SEGMENT_SAVED,
  writeNumber,
  writeWords,
} from '../../actors/messages.ts';
import { take, World } from './world.ts';

let world: World;
let main: Context;
let requests: MainRequests;

beforeEach(() => {
  world = new World({ shards: 2 });
  main = world.actor('main');
  requests = new MainRequests(main);
  requests.start(hear);
});

function hear(): void {
  while (main.mailbox.drain(requests, 32) > 0);
}

/** What `promise` has resolved to by now. */
async function present<T>(promise: Promise<T>): Promise<T | 'open'> {
  await new Promise(setImmediate);
  return Promise.race([promise, Promise.resolve('open' as const)]);
}

const kinds = (name: string): number[] => take(world.actor(name)).map(({ kind }) => kind);

test('a question that the dead thread took is asked again, under a new ticket, and answered by its successor', async () => {
  const flushed = requests.flush();
  const [first] = take(world.actor('io-0'));
  requests.repeat();
  const [again, ...more] = take(world.actor('io-0'));
  expect(more).toEqual([]);
  expect(again!.kind).toBe(FLUSH);
  expect(again!.u32[0]).toBeGreaterThan(first!.u32[0]!);
  writeWords(world.actor('io-0').outbox('main'), IO_DONE, again!.u32[0]!, 5);
  hear();
  expect(await present(flushed)).toBe(5);
  requests.repeat();
  expect(kinds('io-0')).toEqual([]);
});

test('a question that still lies in the mailbox is not asked twice', () => {
  void requests.flush();
  requests.repeat();
  requests.repeat();
  expect(kinds('io-0')).toEqual([FLUSH]);
});

test('one that was answered just before the end is not asked again', async () => {
  const flushed = requests.flush();
  const [asked] = take(world.actor('io-0'));
  writeWords(world.actor('io-0').outbox('main'), IO_DONE, asked!.u32[0]!, 0);
  requests.repeat();
  expect(await present(flushed)).toBe(0);
  expect(kinds('io-0')).toEqual([]);
});

test('of several, those taken are repeated after those that wait, with rising tickets', () => {
  void requests.flush();
  void requests.flush();
  take(world.actor('io-0'));
  void requests.flush();
  requests.repeat();
  expect(take(world.actor('io-0')).map(({ u32 }) => u32[0])).toEqual([3, 4, 5]);
});

test('segments: two answers of one shard count once', async () => {
  const saved = requests.saveSegments(7);
  for (const shard of ['shard-0', 'shard-1']) expect(kinds(shard)).toEqual([SAVE_SEGMENT]);
  for (let n = 0; n < 2; n++) writeNumber(world.actor('shard-0').outbox('main'), SEGMENT_SAVED, 0);
  hear();
  expect(await present(saved)).toBe('open');
  writeNumber(world.actor('shard-1').outbox('main'), SEGMENT_SAVED, 28);
  hear();
  expect(await present(saved)).toBe(28);
});

test('a segment that a successor loads, and nobody asked about, is taken note of by nobody', () => {
  writeNumber(world.actor('shard-1').outbox('main'), SEGMENT_LOADED, 1);
  hear();
});
