import { assert } from '../../runtime/assert.ts';
import type { EventLoopActor } from '../../runtime/scheduling/actor.ts';
import type { Context } from '../context.ts';
import {
  CHECKPOINT,
  FLUSH,
  IO_DONE,
  SAVE_SEGMENT,
  SEGMENT_LOADED,
  SEGMENT_SAVED,
  SHARD_REPLAYED,
  writeNumber,
  writeWords,
} from '../messages.ts';
import { ShardReplays } from './shard-replays.ts';

interface Gathering {
  /** Lanes of the shards that have not answered. */
  readonly missing: Set<number>;
  readonly values: number[];
  readonly done: (values: number[]) => void;
}

/** What main asks other actors by message, as promises. */
export class MainRequests implements EventLoopActor {
  readonly #context: Context;
  readonly #tickets = new Map<number, (errno: number) => void>();
  /** Lanes of the shards, by number. */
  readonly #shards: readonly number[];
  readonly #replays: ShardReplays;
  /** LSN of the segments that are being saved. */
  #savedAsOf = 0;
  readonly #gatherings = new Map<number, Gathering>();
  #nextTicket = 1;

  constructor(context: Context) {
    this.#context = context;
    const { senders } = context.topology.actor('main');
    this.#shards = context.topology.ofKind('shard').map(({ name }) => senders.indexOf(name));
    this.#replays = new ShardReplays(context, () => this.flush());
  }

  onMessage(
    kind: number,
    _u8: Uint8Array,
    u32: Uint32Array,
    f64: Float64Array,
    offset: number,
    _length: number,
    lane: number,
  ): void {
    if (kind === IO_DONE) {
      const ticket = u32[offset >> 2]!;
      this.#tickets.get(ticket)?.(u32[(offset >> 2) + 1]!);
      this.#tickets.delete(ticket);
    } else if (kind === SEGMENT_LOADED || kind === SEGMENT_SAVED) this.#gather(kind, lane, f64[offset >> 3]!);
    else if (kind === SHARD_REPLAYED) this.#replays.replayed(u32[offset >> 2]!, u32[(offset >> 2) + 1]!);
    else assert(false, 'main knows this kind of message');
  }

  stop(): void {}

  /** Makes everything durable; 0 or an errno. */
  flush(): Promise<number> {
    return this.#ask(FLUSH);
  }

  /** Writes a checkpoint; nobody may change the tree meanwhile. 0 or an errno. */
  checkpoint(): Promise<number> {
    return this.#ask(CHECKPOINT);
  }

  /** Whether every shard had a complete segment for the checkpoint that was loaded. To be called before io-0 starts. */
  async segmentsLoaded(): Promise<boolean> {
    const answers = await this.#fromShards(SEGMENT_LOADED);
    return answers.every((complete) => complete === 1);
  }

  /** 0, or the errno of a shard that could not write its segment: its files will be indexed again. */
  async saveSegments(lsn: number): Promise<number> {
    const answers = this.#fromShards(SEGMENT_SAVED);
    this.#savedAsOf = lsn;
    for (const index of this.#shards.keys()) this.#saveSegment(index);
    return (await answers).find((errno) => errno !== 0) ?? 0;
  }

  /**
   * Brings the successor of a shard, once it is READY, to what its predecessor held; searches wait for it. True when it
   * is there; false when it has died as well: its own successor is to be asked for. May take as long as a mount.
   */
  async replayShard(index: number): Promise<boolean> {
    const isThrough = await this.#replays.replay(index);
    const isAwaited = this.#gatherings.get(SEGMENT_SAVED)?.missing.has(this.#shards[index]!);
    if (isThrough && isAwaited) this.#saveSegment(index);
    return isThrough;
  }

  #saveSegment(index: number): void {
    writeNumber(this.#context.outbox(`shard-${index}`), SAVE_SEGMENT, this.#savedAsOf);
  }

  #ask(kind: number): Promise<number> {
    const ticket = this.#nextTicket++;
    return new Promise((answered) => {
      this.#tickets.set(ticket, answered);
      writeWords(this.#context.outbox('io-0'), kind, ticket);
    });
  }

  #fromShards(kind: number): Promise<number[]> {
    return new Promise((done) => {
      this.#gatherings.set(kind, { missing: new Set(this.#shards), values: [], done });
    });
  }

  #gather(kind: number, lane: number, value: number): void {
    const gathering = this.#gatherings.get(kind);
    // A second answer: of a shard that was asked again after a restart, and had been asked in time.
    if (!gathering?.missing.delete(lane)) return;
    gathering.values.push(value);
    if (gathering.missing.size > 0) return;
    this.#gatherings.delete(kind);
    gathering.done(gathering.values);
  }
}
