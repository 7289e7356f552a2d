/** A store with its shards, io-0 and everybody who writes to shards, all in one thread and a step at a time. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChunkBatch, encodeChunkBatch } from '../../actors/chunk-batch.ts';
import type { Context } from '../../actors/context.ts';
import { ScatterGather } from '../../actors/indexer/scatter-gather.ts';
import { CommitActor } from '../../actors/io/commit-actor.ts';
import { DirtyObjects } from '../../actors/io/objects.ts';
import { checkpoint } from '../../actors/io/recovery.ts';
import { ShardReplays, withShardReplays } from '../../actors/io/shard-replay.ts';
import { TreeState } from '../../actors/io/tree-state.ts';
import { LogWriter } from '../../actors/log-writer.ts';
import { MainRequests } from '../../actors/main/requests.ts';
import { Resharding } from '../../actors/main/resharding.ts';
import * as messages from '../../actors/messages.ts';
import { setPresent } from '../../actors/presence.ts';
import { JOURNAL, STORE_STATUS, vectorsRegion } from '../../actors/regions.ts';
import { holderOf, otherOf, Route } from '../../actors/route.ts';
import { ShardActor } from '../../actors/shard/actor.ts';
import { Shard } from '../../actors/shard/shard.ts';
import {
  LIST_HEADER_BYTES,
  tryPutChunks,
  tryRemove,
  writePutVector,
  writeRemove,
} from '../../actors/shard-messages.ts';
import { TEXT_COLLECTION } from '../../actors/text-collection.ts';
import { openTree } from '../../actors/tree.ts';
import { VectorOrder } from '../../actors/vector-order.ts';
import { IndexState, type Namespace, ROOT } from '../../fuse/namespace/namespace.ts';
import { S_IFREG } from '../../fuse/protocol/abi.ts';
import { VectorMemory } from '../../kernels/hnsw/vector-memory.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import type { DoorbellActor } from '../../runtime/scheduling/actor.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { formatJournal, JournalReader } from '../../runtime/storage/journal-ring.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import { watchOf } from '../storage/space.ts';
import { World } from './world.ts';

export const DIMENSION = 4;
const encoder = new TextEncoder();
const XATTR = encoder.encode('user.vexfs.vector');

export function unit(n: number): Float32Array {
  const v = Float32Array.from({ length: DIMENSION }, (_, i) => Math.sin(n * 7.3 + i * 2.1));
  const length = Math.hypot(...v);
  return v.map((x) => x / length);
}

interface Thread {
  readonly context: Context;
  readonly namespace: Namespace;
}

interface ShardThread {
  incarnation: number;
  context: Context;
  actor: ShardActor;
  shard: Shard;
}

function runToEnd(steps: Generator<void, boolean>): void {
  while (!steps.next().done);
}

export class ShardsWorld {
  readonly store = mkdtempSync(join(tmpdir(), 'vexfs-shards-'));
  readonly world: World;
  readonly fuse: Thread[];
  readonly indexer: Thread;
  readonly main: Context;
  readonly requests: MainRequests;
  /** By number; absent ones are not there. */
  readonly shards: ShardThread[] = [];
  readonly route: Route;
  readonly resharding: Resharding;
  /** Incarnations of the shards, of those that were retired too. */
  readonly #incarnations: number[] = [];
  readonly gather: ScatterGather;
  /** Files that shards have reported. */
  readonly missing: number[] = [];
  readonly #io: Context;
  #ioActor: DoorbellActor;
  readonly #commit: CommitActor;
  readonly #tree: TreeState;
  readonly #order: VectorOrder;

  /** `most`: how many shards there is room for. */
  constructor(shards: number, most = shards) {
    for (const name of ['log', 'checkpoint', 'vectors', 'objects']) mkdirSync(join(this.store, name));
    this.world = new World({ shards, shards_max: most, fuse: 2 }, this.store);
    const { world } = this;
    this.#io = world.actor('io-0');
    this.#tree = new TreeState(this.#io);
    formatJournal(this.#io.arena.region(JOURNAL), 1);
    this.#tree.format();
    this.#tree.loaded(0);
    this.#commit = this.#openCommit();
    this.#ioActor = withShardReplays(this.#commit, new ShardReplays(this.#io, () => this.#tree.namespace));
    this.fuse = ['fuse-0', 'fuse-1'].map((name) => this.#thread(name));
    this.indexer = this.#thread('indexer');
    this.main = world.actor('main');
    this.requests = new MainRequests(this.main);
    this.#order = new VectorOrder(this.main.arena);
    this.route = new Route(this.main.arena);
    this.resharding = new Resharding(this.main, {
      start: (index) => this.#startShard(index),
      retire: (index) => this.#retireShard(index),
      isHeld: () => this.requests.holdsRoute,
    });
    this.requests.routeDone = (word, shard) => this.resharding.done(word, shard);
    for (let index = 0; index < shards; index++) this.shards.push(this.#openShard(index, 1));
    this.gather = new ScatterGather(this.indexer.context, () => 60_000);
    void this.requests.segmentsLoaded();
  }

  dispose(): void {
    this.resharding.stop();
    rmSync(this.store, { recursive: true });
  }

  create(thread: number, name: string): number {
    const bytes = encoder.encode(name);
    const ino = this.fuse[thread]!.namespace.create(ROOT, bytes, 0, bytes.length, S_IFREG | 0o644, 0, 0, 0);
    if (ino < 0) throw new Error(`create: ${ino}`);
    return ino;
  }

  unlink(thread: number, name: string): void {
    const { namespace, context } = this.fuse[thread]!;
    const bytes = encoder.encode(name);
    namespace.unlink(ROOT, bytes, 0, bytes.length);
    const { removedIno, removedGeneration } = namespace;
    runToEnd(
      this.#telling(context, removedIno, (lane) =>
        writeRemove(lane, messages.REMOVE_FILE, removedIno, removedGeneration, 0),
      ),
    );
  }

  generation(ino: number): number {
    return this.state(ino).generation;
  }

  state(ino: number): IndexState {
    const state = new IndexState();
    this.indexer.namespace.indexState(ino, state);
    return state;
  }

  write(thread: number, ino: number): void {
    this.fuse[thread]!.namespace.writeInline(ino, 0, encoder.encode('x'), 0, 1);
  }

  setVector(thread: number, ino: number, vector: Float32Array): void {
    runToEnd(this.settingVector(thread, ino, vector));
  }

  /** The steps of it that others can come between. */
  *settingVector(thread: number, ino: number, vector: Float32Array): Generator<void, boolean> {
    const { namespace, context } = this.fuse[thread]!;
    const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
    const collection = namespace.setxattr(ino, XATTR, 0, XATTR.length, bytes, 0, bytes.length, 0);
    if (collection <= 0) throw new Error(`setxattr: ${collection}`);
    const stamp = this.#order.next();
    const generation = this.generation(ino);
    return yield* this.#telling(context, ino, (lane) =>
      writePutVector(lane, ino, generation, collection, stamp, bytes, 0, bytes.length),
    );
  }

  removeVector(thread: number, ino: number): void {
    runToEnd(this.removingVector(thread, ino));
  }

  *removingVector(thread: number, ino: number): Generator<void, boolean> {
    const { namespace, context } = this.fuse[thread]!;
    const collection = namespace.removexattr(ino, XATTR, 0, XATTR.length);
    if (collection <= 0) throw new Error(`removexattr: ${collection}`);
    const generation = this.generation(ino);
    const stamp = this.#order.next();
    return yield* this.#telling(context, ino, (lane) =>
      writeRemove(lane, messages.REMOVE_VECTORS, ino, generation, collection, stamp),
    );
  }

  /** As whoever writes to shards does it: by the route, and again if that is another one then. */
  *#telling(context: Context, ino: number, tell: (lane: Outbox) => void): Generator<void, boolean> {
    let sentBy: number;
    do {
      sentBy = this.route.word;
      yield;
      tell(context.outbox(`shard-${holderOf(sentBy, ino)}`));
      yield;
      const other = otherOf(sentBy, ino);
      if (other >= 0) tell(context.outbox(`shard-${other}`));
      yield;
    } while (this.route.word !== sentBy);
    return true;
  }

  /** The steps in which the indexer writes what it found: journal, send, journal, send… False = the file has changed. */
  *indexing(ino: number, batches: readonly (readonly Float32Array[])[]): Generator<void, boolean> {
    const { namespace } = this.indexer;
    const { generation, version, indexedVersion } = this.state(ino);
    let first = 0;
    let sentBy = this.route.word;
    const sent: Uint8Array[] = [];
    for (const [i, vectors] of batches.entries()) {
      const now = this.state(ino);
      if (now.generation !== generation || now.version !== version) return false;
      const chunks = vectors.map((vector, n) => ({ byteOffset: n, byteLength: 1, line: 1, vector }));
      const batch = encodeChunkBatch(version, first, chunks, DIMENSION);
      first += vectors.length;
      const asOf = i === batches.length - 1 ? version : indexedVersion;
      const written = namespace.setIndexed(ino, generation, asOf, first, 1, batch, 0, batch.length);
      if (written < 0) return false;
      yield;
      sent.push(batch);
      yield* this.#sendingBatch(ino, generation, batch);
    }
    while (this.route.word !== sentBy) {
      sentBy = this.route.word;
      for (const batch of sent) yield* this.#sendingBatch(ino, generation, batch);
    }
    if (!namespace.exists(ino, generation)) yield* this.#removingText(ino, generation);
    return true;
  }

  /** The file turned out to hold no text. */
  *passingOver(ino: number): Generator<void, boolean> {
    const { generation, version } = this.state(ino);
    const nothing = new Uint8Array(0);
    if (this.indexer.namespace.setIndexed(ino, generation, version, 0, 2, nothing, 0, 0) < 0) return false;
    yield;
    return yield* this.#removingText(ino, generation);
  }

  *#sendingBatch(ino: number, generation: number, batch: Uint8Array): Generator<void, void> {
    const sentBy = this.route.word;
    for (const shard of [holderOf(sentBy, ino), otherOf(sentBy, ino)].filter((index) => index >= 0)) {
      const lane = this.indexer.context.outbox(`shard-${shard}`);
      if (!tryPutChunks(lane, ino, generation, batch, 0, batch.length)) throw new Error('the lane is full');
      yield;
    }
  }

  #removingText(ino: number, generation: number): Generator<void, boolean> {
    return this.#telling(this.indexer.context, ino, (lane) =>
      tryRemove(lane, messages.REMOVE_VECTORS, ino, generation, TEXT_COLLECTION),
    );
  }

  /** A shard takes in some of what waits for it, and does what it does when nothing does. */
  turn(index: number, batch = 32): void {
    const thread = this.shards[index];
    if (thread === undefined) return;
    const { context, actor } = thread;
    if (context.mailbox.drain(actor, batch) > 0) actor.afterBatch();
    else actor.idle();
  }

  turnIo(): void {
    if (this.#io.mailbox.drain(this.#ioActor, 32) === 0) this.#ioActor.idle();
  }

  /** main and the indexer take in what waits for them. */
  turnOthers(): void {
    while (this.main.mailbox.drain(this.requests, 32) > 0);
    const { context } = this.indexer;
    context.mailbox.drain(
      {
        onMessage: (kind, _u8, u32, _f64, offset) => {
          if (kind === messages.HITS) this.gather.gather(u32, offset);
          else if (kind === messages.TEXT_MISSING) {
            const first = (offset + LIST_HEADER_BYTES) >> 2;
            this.missing.push(...u32.subarray(first, first + u32[offset >> 2]!));
          }
        },
      },
      1000,
    );
  }

  async settle(done: () => boolean = () => true, turns = 200): Promise<void> {
    for (let turn = 0; turn < turns || !done(); turn++) {
      if (turn > 100_000) throw new Error('it does not settle');
      this.turnIo();
      for (const index of this.shards.keys()) this.turn(index);
      this.turnOthers();
      // Timers too have their turn now and then: full lanes are tried again after a moment.
      if (turn % 20 === 0) await new Promise((resume) => setTimeout(resume, 0));
      await Promise.resolve();
    }
  }

  async settleUntil<T>(promise: Promise<T>): Promise<T> {
    let isDone = false;
    void promise.finally(() => {
      isDone = true;
    });
    await this.settle(() => isDone, 1);
    return promise;
  }

  /** The shard's thread ends wherever it is; another takes its place and is to be told everything. */
  killShard(index: number): Promise<boolean> {
    this.shards[index] = this.#openShard(index, this.shards[index]!.incarnation + 1);
    return this.requests.replayShard(index);
  }

  async #startShard(index: number): Promise<void> {
    const incarnation = (this.#incarnations[index] ?? 0) + 1;
    setPresent(this.main.arena, this.main.topology.actor(`shard-${index}`), true);
    this.shards[index] = this.#openShard(index, incarnation);
    if (incarnation > 1 && !(await this.requests.replayShard(index))) {
      while (this.requests.holdsRoute) await new Promise((resume) => setTimeout(resume, 1));
    }
  }

  async #retireShard(index: number): Promise<void> {
    const { context, actor } = this.shards[index]!;
    while (context.mailbox.drain(actor, 32) > 0);
    actor.stop();
    setPresent(this.main.arena, this.main.topology.actor(context.name), false);
    // By number, so that those after it keep theirs.
    delete this.shards[index];
    this.shards.length = index;
  }

  /** io-0 forgets the replays that it was at, as when it ends. The log is written on: that is not what is looked at here. */
  killReplays(): void {
    this.#io.state.incarnation++;
    this.#io.state.set(2);
    this.#ioActor = withShardReplays(this.#commit, new ShardReplays(this.#io, () => this.#tree.namespace));
  }

  async checkpoint(): Promise<number> {
    const work = async (): Promise<number> => {
      await this.requests.flush();
      const { durableLsn } = new StoreStatus(this.#io.arena.region(STORE_STATUS)).read();
      await this.requests.saveSegments(durableLsn);
      await this.requests.checkpoint();
      return durableLsn;
    };
    return this.settleUntil(work());
  }

  /** Text of each file in all shards: `ino.generation` → version and the chunks' vectors. */
  texts(): Map<string, string> {
    const texts = new Map<string, string>();
    const batch = new ChunkBatch();
    for (const [index, { shard }] of this.shards.entries()) {
      shard.eachTextBatch((ino, generation, bytes) => {
        if (this.shardOf(ino) !== index) return;
        batch.read(bytes, 0, bytes.length);
        const key = `${ino}.${generation}`;
        for (let i = 0; i < batch.count; i++) {
          const vector = [...batch.vector(i)].map((x) => x.toFixed(4)).join(' ');
          texts.set(key, `${texts.get(key) ?? `v${batch.version}`} | ${vector}`);
        }
      });
    }
    return texts;
  }

  static textOf(version: number, batches: readonly (readonly Float32Array[])[]): string {
    return [`v${version}`, ...batches.flat().map((v) => [...v].map((x) => x.toFixed(4)).join(' '))].join(
      ' | ',
    );
  }

  /** How far each file's vector in the first users' collection is from `query`, in all shards, by inode. */
  distances(query: Float32Array): Map<string, number> {
    const found = new Map<string, number>();
    for (const [index, { shard }] of this.shards.entries()) {
      shard.search(1, query, 1000, 1000, ({ ino, generation }, distance) => {
        if (this.shardOf(ino) === index) found.set(`${ino}.${generation}`, distance);
      });
    }
    return found;
  }

  shardOf(ino: number): number {
    return holderOf(this.route.word, ino);
  }

  #thread(name: string): Thread {
    const context = this.world.actor(name);
    return { context, namespace: openTree(context).namespace };
  }

  #openShard(index: number, incarnation: number): ShardThread {
    const context = this.world.actor(`shard-${index}`, incarnation);
    const memory = new VectorMemory(context.arena.region(vectorsRegion(context.name)));
    const shard = new Shard(this.world.config.vectors, undefined, memory);
    context.state.set(2);
    this.#incarnations[index] = incarnation;
    return { incarnation, context, actor: new ShardActor(context, shard), shard };
  }

  #openCommit(): CommitActor {
    const { arena, settings, outbox } = this.#io;
    const disk = new HostDisk(this.store);
    const toMain = (kind: number, first: number, second: number): void =>
      messages.writeWords(outbox('main'), kind, first, second);
    const journal = new JournalReader(arena.region(JOURNAL));
    const { bytes: uuid } = settings.identity;
    const log = new LogWriter(disk, { uuid, segmentBytes: 20_000, nextSequence: 1, lastLsn: 0 });
    return new CommitActor({
      journal,
      log,
      space: watchOf({ disk, journal, log, clock: systemClock }),
      objects: new DirtyObjects(disk),
      status: new StoreStatus(arena.region(STORE_STATUS)),
      clock: systemClock,
      others: 0,
      intervalMs: 1000,
      ports: {
        reply: () => {},
        toMain,
        toOther: () => {},
        incarnationOf: () => 1,
        patience: () => {},
        newestCheckpoint: () => 0,
        resumeLog: () => 0,
        rebuild: () => 0,
        checkpoint: (lsn) => checkpoint(disk, settings.identity, this.#tree, lsn, systemClock),
        failed: (errno, doing) => {
          throw new Error(`${doing}: ${errno}`);
        },
      },
    });
  }
}
