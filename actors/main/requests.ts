import { assert } from '../../runtime/assert.ts';
import type { EventLoopActor } from '../../runtime/scheduling/actor.ts';
import type { Context } from '../context.ts';
import {
  CHECKPOINT,
  FLUSH,
  IO_DONE,
  REBUILD,
  SAVE_SEGMENT,
  SEGMENT_LOADED,
  SEGMENT_SAVED,
  writeNumber,
  writeWords,
} from '../messages.ts';

interface Gathering {
  missing: number;
  readonly values: number[];
  readonly done: (values: number[]) => void;
}

/** What main asks other actors by message, as promises. */
export class MainRequests implements EventLoopActor {
  readonly #context: Context;
  readonly #tickets = new Map<number, (errno: number) => void>();
  readonly #shards: number;
  readonly #gatherings = new Map<number, Gathering>();
  #nextTicket = 1;

  constructor(context: Context) {
    this.#context = context;
    this.#shards = context.topology.ofKind('shard').length;
  }

  onMessage(kind: number, _u8: Uint8Array, u32: Uint32Array, f64: Float64Array, offset: number): void {
    if (kind === IO_DONE) {
      const ticket = u32[offset >> 2]!;
      this.#tickets.get(ticket)?.(u32[(offset >> 2) + 1]!);
      this.#tickets.delete(ticket);
    } else if (kind === SEGMENT_LOADED || kind === SEGMENT_SAVED) this.#gather(kind, f64[offset >> 3]!);
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

  /**
   * Makes the namespace and the slab anew from checkpoint and log; nobody may use them meanwhile: no fuse actor, no
   * indexer, no pool actor runs. 0 or an errno: then the store cannot go on.
   */
  rebuild(): Promise<number> {
    return this.#ask(REBUILD);
  }

  /** Whether every shard had a complete segment for the checkpoint that was loaded. To be called before io-0 starts. */
  async segmentsLoaded(): Promise<boolean> {
    const answers = await this.#fromShards(SEGMENT_LOADED);
    return answers.every((complete) => complete === 1);
  }

  /** 0, or the errno of a shard that could not write its segment: its files will be indexed again. */
  async saveSegments(lsn: number): Promise<number> {
    const answers = this.#fromShards(SEGMENT_SAVED);
    for (const { name } of this.#context.topology.ofKind('shard')) {
      writeNumber(this.#context.outbox(name), SAVE_SEGMENT, lsn);
    }
    return (await answers).find((errno) => errno !== 0) ?? 0;
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
      this.#gatherings.set(kind, { missing: this.#shards, values: [], done });
    });
  }

  #gather(kind: number, value: number): void {
    const gathering = this.#gatherings.get(kind);
    assert(gathering !== undefined, 'a shard answers what it was asked');
    gathering.values.push(value);
    if (--gathering.missing > 0) return;
    this.#gatherings.delete(kind);
    gathering.done(gathering.values);
  }
}
