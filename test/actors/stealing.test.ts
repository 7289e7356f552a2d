/** Shards that answer for each other, and what a search has to wait for. All in one thread, turn by turn. */
import { beforeEach, describe, expect, test } from 'vitest';
import { encodeChunkBatch } from '../../actors/chunk-batch.ts';
import type { Context } from '../../actors/context.ts';
import * as messages from '../../actors/messages.ts';
import { ACTOR_STATES, GRAPH_DOORS, METRICS, TASKS, vectorsRegion } from '../../actors/regions.ts';
import { Route, settledRoute } from '../../actors/route.ts';
import { ShardActor } from '../../actors/shard/actor.ts';
import { SLICE_MAX } from '../../actors/shard/building.ts';
import { Graphs } from '../../actors/shard/graphs.ts';
import { Shard } from '../../actors/shard/shard.ts';
import { trySearch, writePutVector, writeRemove } from '../../actors/shard-messages.ts';
import { TEXT_COLLECTION } from '../../actors/text-collection.ts';
import { FIRST_STAMP } from '../../actors/vector-order.ts';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import type { OpenEngine } from '../../kernels/hnsw/open-engine.ts';
import { SharedGraph } from '../../kernels/hnsw/shared-graph.ts';
import type { IndexOptions } from '../../kernels/hnsw/vector-index.ts';
import { VectorMemory } from '../../kernels/hnsw/vector-memory.ts';
import type { Clock } from '../../runtime/clock.ts';
import { readCounters } from '../../runtime/metrics/metrics.ts';
import { STOP } from '../../runtime/scheduling/actor.ts';
import { ActorState, FAILED, READY } from '../../runtime/scheduling/actor-state.ts';
import { peekBoard } from '../../runtime/scheduling/board-layout.ts';
import { runOnDoorbell } from '../../runtime/scheduling/run-loop.ts';
import { take, World } from './world.ts';

/** Stands still, so that how much a shard does in a turn does not depend on the machine. */
const clock: Clock = { now: () => 0, monotonic: () => 0 };
const QUERY = Float32Array.from([1, 0, 0]);
const COLLECTION = 1;
let world: World;
let indexer: Context;
beforeEach(() => {
  world = new World({ shards: 2, fuse: 1 });
  indexer = world.actor('indexer');
  // Any file is the first shard's; the others help.
  new Route(indexer.arena).word = settledRoute(1);
});

class RunningShard {
  readonly context: Context;
  readonly shard: Shard;
  readonly actor: ShardActor;
  /** What its idle() last said. */
  sleep = 0;

  /** `openGraph`: 'shared' for a graph that others can search. */
  constructor(name: string, openGraph?: OpenEngine | 'shared', incarnation = 1) {
    this.context = { ...world.actor(name, incarnation), clock };
    this.context.state.set(READY);
    const memory = new VectorMemory(this.context.arena.region(vectorsRegion(name)));
    const graphs = new Graphs(this.context);
    const open =
      openGraph === 'shared' ? (options: IndexOptions) => new SharedGraph(options, graphs) : openGraph;
    this.shard = new Shard(world.config.vectors, open, memory);
    this.actor = new ShardActor(this.context, this.shard, graphs);
  }

  counter(name: string): number {
    return readCounters(this.context.arena.region(METRICS))[this.context.name]![name]!;
  }

  /** One turn of the run loop, `batch` messages of each lane. */
  turn(batch = 32): void {
    if (this.context.mailbox.drain(this.actor, batch) > 0) this.actor.afterBatch();
    else this.sleep = this.actor.idle();
  }

  put(first: number, count: number): void {
    for (let ino = first; ino < first + count; ino++) {
      this.shard.putVector(ino, 1, COLLECTION, Float32Array.from([1, ino / 1000, 0]));
    }
  }
}

function ask(shard: RunningShard, id: number, collection = COLLECTION): void {
  trySearch(indexer.outbox(shard.context.name), id, collection, 3, 10, QUERY);
}

interface Answer {
  readonly from: string;
  readonly id: number;
  readonly asked: number;
  readonly inos: number[];
}

function answers(): Answer[] {
  return take(indexer).map(({ kind, from, u32 }) => {
    expect(kind).toBe(messages.HITS);
    const hits = messages.hitsOf(u32[1]!);
    const inos = Array.from({ length: hits }, (_, i) => u32[2 + i * 8]!);
    return { from, id: u32[0]!, asked: messages.askedShardOf(u32[1]!), inos };
  });
}

test('an idle shard answers what waits at a busy one, as the busy one would', () => {
  const busy = new RunningShard('shard-0');
  const idle = new RunningShard('shard-1');
  busy.put(1, 500);
  for (const id of [1, 2, 3]) ask(busy, id);
  busy.turn();
  busy.turn(0);
  idle.turn();
  busy.turn();
  const found = answers();
  expect(found.map(({ from, id, asked }) => [from, id, asked])).toEqual(
    expect.arrayContaining([
      ['shard-0', 1, 0],
      ['shard-1', 3, 0],
    ]),
  );
  for (const { inos } of found) expect(inos).toEqual([1, 2, 3]);
  expect(found).toHaveLength(3);
  expect(peekBoard(idle.context.arena.region(TASKS))[1]).toMatchObject({ stolen: 1 });
});

test('a shard that sleeps is rung when another has more than it can do at once', () => {
  const busy = new RunningShard('shard-0');
  const idle = new RunningShard('shard-1');
  busy.put(1, 10);
  idle.turn();
  const { doorbell } = idle.context.mailbox;
  const seen = doorbell.seen();
  ask(busy, 1);
  busy.turn();
  expect(doorbell.seen()).toBe(seen);
  for (const id of [2, 3, 4]) ask(busy, id);
  busy.turn();
  expect(doorbell.seen()).not.toBe(seen);
});

test('with workers.steal off everybody answers for himself', () => {
  world = new World({ shards: 2, fuse: 1, steal: false });
  indexer = world.actor('indexer');
  const busy = new RunningShard('shard-0');
  const idle = new RunningShard('shard-1');
  busy.put(1, 10);
  for (const id of [1, 2, 3]) ask(busy, id);
  busy.turn();
  for (let i = 0; i < 3; i++) idle.turn();
  for (let i = 0; i < 3; i++) busy.turn();
  expect(answers().map(({ from, id }) => [from, id])).toEqual([
    ['shard-0', 1],
    ['shard-0', 2],
    ['shard-0', 3],
  ]);
});

test('a vector that was put before the search is found, whoever answers', () => {
  const busy = new RunningShard('shard-0');
  const idle = new RunningShard('shard-1');
  busy.put(1000, 50);
  const bytes = new Uint8Array(QUERY.buffer);
  const fuse = world.actor('fuse-0').outbox('shard-0');
  for (const id of [1, 2]) {
    writePutVector(fuse, id, 1, COLLECTION, FIRST_STAMP + id, bytes, 0, bytes.length);
    ask(busy, id);
  }
  busy.turn();
  idle.turn();
  busy.turn();
  const found = answers();
  expect(found.map(({ id }) => id).sort()).toEqual([1, 2]);
  for (const { id, inos } of found) expect(inos.slice(0, id).sort()).toEqual([1, 2].slice(0, id));
});

test('a search waits for what was sent before it, and not for the stream that follows', () => {
  const shard = new RunningShard('shard-0');
  const bytes = new Uint8Array(QUERY.buffer);
  const fuse = world.actor('fuse-0').outbox('shard-0');
  const put = (ino: number): void =>
    writePutVector(fuse, ino, 1, COLLECTION, FIRST_STAMP + ino, bytes, 0, bytes.length);
  for (let ino = 1; ino <= 100; ino++) put(ino);
  ask(shard, 1);
  let turns = 0;
  let found: Answer[] = [];
  for (let next = 101; found.length === 0; turns++) {
    for (let i = 0; i < 32; i++) put(next++);
    shard.turn();
    found = answers();
    expect(turns).toBeLessThan(10);
  }
  // 100 puts, and the 32 that had come when the search was taken out, at 32 a turn.
  expect(turns).toBe(5);
  expect(shard.shard.vectors).toBeGreaterThanOrEqual(100);
});

test('between batches of messages the run loop lets an actor do what must not wait', () => {
  const context = world.actor('shard-0');
  const fuse = world.actor('fuse-0').outbox('shard-0');
  const handled: number[] = [];
  let messagesSeen = 0;
  for (let ino = 1; ino <= 100; ino++) writeRemove(fuse, messages.REMOVE_FILE, ino, 1, 0);
  runOnDoorbell(context, {
    onMessage() {
      messagesSeen++;
    },
    afterBatch() {
      handled.push(messagesSeen);
      if (handled.length === 3) messages.trySignal(world.actor('main').outbox('shard-0'), STOP);
    },
    idle: () => 0,
    stop() {},
  });
  expect(handled).toEqual([32, 64, 96, 100]);
});

test('a search waits for one slice of building, and building goes on under searches without end', () => {
  let added = 0;
  class CountingIndex extends ExactIndex {
    override add(label: number, vector: Float32Array): void {
      added++;
      super.add(label, vector);
    }
  }
  const shard = new RunningShard('shard-0', (options) => new CountingIndex(options));
  shard.put(1, 10_500);
  for (let i = 0; i < 20; i++) {
    const before = added;
    shard.turn();
    expect(added - before).toBeLessThanOrEqual(SLICE_MAX);
    expect(added).toBeGreaterThan(before);
    ask(shard, i);
    shard.turn();
    shard.turn();
    expect(answers().map(({ id }) => id)).toEqual([i]);
  }
  const before = added;
  for (let i = 0; i < 200; i++) {
    ask(shard, i);
    shard.turn();
    shard.turn();
  }
  expect(answers()).toHaveLength(200);
  expect(added - before).toBeGreaterThanOrEqual(40);
});

test('a search that a thief cannot do, because a graph has grown meanwhile, is answered by its owner', () => {
  const busy = new RunningShard('shard-0', (options) => new ExactIndex(options));
  const idle = new RunningShard('shard-1');
  busy.put(1, 10_001);
  for (const id of [1, 2, 3]) ask(busy, id);
  busy.turn();
  busy.shard.absorb(1);
  idle.turn();
  expect(answers().every(({ from }) => from === 'shard-0')).toBe(true);
  for (let i = 0; i < 4; i++) busy.turn();
  expect(peekBoard(idle.context.arena.region(TASKS))[1]).toMatchObject({ givenBack: 1, stolen: 0 });
  expect(answers().map(({ from }) => from)).toEqual(['shard-0', 'shard-0']);
});

test('a search whose thief died is answered by its owner', () => {
  const busy = new RunningShard('shard-0');
  const idle = new RunningShard('shard-1');
  busy.put(1, 10);
  for (const id of [1, 2]) ask(busy, id);
  busy.turn();
  // It dies in the middle of the search: nothing of it is seen outside.
  const { load } = Atomics;
  const region = idle.context.arena.region(vectorsRegion('shard-0'));
  Reflect.set(Atomics, 'load', (words: Int32Array, index: number) => {
    if (words.byteOffset === region.offset) throw new Error('died');
    return load(words, index);
  });
  try {
    expect(() => idle.turn()).toThrow('died');
  } finally {
    Reflect.set(Atomics, 'load', load);
  }
  busy.turn();
  expect(answers().map(({ id }) => id)).toEqual([1]);
  expect(busy.sleep).toBeLessThan(100);
  const slot = world.topology.actor('shard-1').slot;
  new ActorState(idle.context.arena.region(ACTOR_STATES), slot).set(FAILED);
  busy.turn();
  expect(answers().map(({ from, id, inos }) => [from, id, inos])).toEqual([['shard-0', 2, [1, 2, 3]]]);
});

test('while a file is being replaced a thief finds neither half of it nor nothing', () => {
  const busy = new RunningShard('shard-0');
  const idle = new RunningShard('shard-1');
  const chunk = { byteOffset: 0, byteLength: 1, line: 1, vector: QUERY };
  const put = (version: number): void => {
    const batch = encodeChunkBatch(version, 0, [chunk, chunk], 3);
    busy.shard.putChunks(1, 1, batch, 0, batch.length);
  };
  put(1);
  for (const id of [1, 2]) ask(busy, id, TEXT_COLLECTION);
  busy.turn();
  // The thief has its turn at every word that the owner writes while it replaces the file.
  const { store } = Atomics;
  let turns = 0;
  Reflect.set(Atomics, 'store', (words: Int32Array, index: number, value: number) => {
    const stored = store(words, index, value);
    if (turns++ === 0) idle.turn();
    return stored;
  });
  try {
    put(2);
  } finally {
    Reflect.set(Atomics, 'store', store);
  }
  expect(turns).toBeGreaterThan(1);
  busy.turn();
  busy.turn();
  for (const { inos } of answers()) expect(inos).toEqual([1, 1]);
});

describe('a graph that others can search', () => {
  const COUNT = 1100;
  beforeEach(() => {
    world = new World({ shards: 2, fuse: 1 }, '/nowhere', { exact_max: 1000 });
    indexer = world.actor('indexer');
    new Route(indexer.arena).word = settledRoute(1);
  });

  function building(): { busy: RunningShard; idle: RunningShard } {
    const busy = new RunningShard('shard-0', 'shared');
    const idle = new RunningShard('shard-1', 'shared');
    busy.put(1, COUNT);
    return { busy, idle };
  }

  function build(...shards: RunningShard[]): void {
    for (let turns = 0; shards[0]!.counter('tail') > 0 || turns < 2; turns++) {
      for (const shard of shards) shard.turn();
      expect(turns, 'it is built').toBeLessThan(COUNT);
    }
  }

  test('an idle shard helps to build it, and answers searches in it, as its owner would', () => {
    const { busy, idle } = building();
    build(busy, idle);
    // In as many turns, of the same length by this clock, it inserts a good part; the owner alone begins and ends a batch.
    expect(idle.counter('helped')).toBeGreaterThan(COUNT / 5);
    for (const id of [1, 2, 3]) ask(busy, id);
    busy.turn();
    busy.turn(0);
    idle.turn();
    busy.turn();
    const found = answers();
    expect(found.map(({ from, id, inos }) => [from, id, inos])).toEqual(
      expect.arrayContaining([
        ['shard-0', 1, [1, 2, 3]],
        ['shard-1', 3, [1, 2, 3]],
      ]),
    );
  });

  test('a thief that has not heard of it leaves a search to its owner', () => {
    const busy = new RunningShard('shard-0', 'shared');
    busy.put(1, COUNT);
    build(busy);
    const idle = new RunningShard('shard-1', 'shared');
    for (const id of [1, 2]) ask(busy, id);
    busy.turn();
    // It says hello only now, and is answered in the owner's next turn.
    idle.turn();
    busy.turn();
    busy.turn();
    expect(answers().map(({ from }) => from)).toEqual(['shard-0', 'shard-0']);
    for (const id of [3, 4]) ask(busy, id);
    busy.turn();
    idle.turn();
    expect(
      answers()
        .map(({ from }) => from)
        .sort(),
    ).toEqual(['shard-0', 'shard-1']);
  });

  test('a helper that ends in the middle of an insertion: the graph is completed once its successor is there', () => {
    const { busy, idle } = building();
    busy.turn();
    // It ends inside: nothing of what it does afterwards is seen.
    const { add } = Atomics;
    let isOver = false;
    Reflect.set(Atomics, 'add', (words: Int32Array, index: number, value: number) => {
      if (isOver) throw new Error('died');
      const before = add(words, index, value);
      isOver = words === idle.context.arena.region(GRAPH_DOORS).i32 && (before & 1) === 0;
      return before;
    });
    try {
      expect(() => idle.turn()).toThrow('died');
    } finally {
      Reflect.set(Atomics, 'add', add);
    }
    for (let i = 0; i < COUNT; i++) busy.turn();
    expect(busy.counter('tail')).toBe(COUNT);
    const successor = new RunningShard('shard-1', 'shared', 2);
    build(busy, successor);
    expect(successor.counter('helped')).toBe(0);
    ask(busy, 1);
    busy.turn();
    expect(answers()).toMatchObject([{ inos: [1, 2, 3] }]);
  });
});
