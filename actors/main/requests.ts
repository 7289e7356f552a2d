import { assert } from '../../runtime/assert.ts';
import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import { peekMailbox } from '../../runtime/messaging/mailbox.ts';
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
import { mailboxRegion } from '../topology.ts';

/** A question to an actor that has not been answered. */
interface Question {
  readonly target: string;
  readonly write: (outbox: Outbox) => void;
  /** Messages that had been sent to the target when the question was the latest, modulo 2^32. */
  sent: number;
}

interface Gathering {
  /** By the name of the shard. */
  readonly asked: Map<string, Question | undefined>;
  readonly values: Map<string, number>;
  readonly done: (values: number[]) => void;
}

/** What main asks other actors by message, as promises. Who dies with a question is asked again as its successor. */
export class MainRequests implements EventLoopActor {
  readonly #context: Context;
  readonly #questions = new Set<Question>();
  readonly #tickets = new Map<number, (errno: number) => void>();
  readonly #shards: readonly string[];
  readonly #gatherings = new Map<number, Gathering>();
  #drain: () => void = () => {};
  #nextTicket = 1;

  constructor(context: Context) {
    this.#context = context;
    this.#shards = context.topology.ofKind('shard').map(({ name }) => name);
  }

  start(drain: () => void): void {
    this.#drain = drain;
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
    } else if (kind === SEGMENT_LOADED || kind === SEGMENT_SAVED) {
      this.#gather(kind, this.#context.topology.actor('main').senders[lane]!, f64[offset >> 3]!);
    } else assert(false, 'main knows this kind of message');
  }

  stop(): void {}

  /** Makes everything durable; 0 or an errno. */
  flush(): Promise<number> {
    return this.#askIo(FLUSH);
  }

  /** Writes a checkpoint; nobody may change the tree meanwhile. 0 or an errno. */
  checkpoint(): Promise<number> {
    return this.#askIo(CHECKPOINT);
  }

  /** Makes the tables anew from checkpoint and log, while no actor that builds on them runs. 0 or an errno. */
  rebuild(): Promise<number> {
    return this.#askIo(REBUILD);
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
    const answers = this.#fromShards(SEGMENT_SAVED, (shard) =>
      this.#ask(shard, (outbox) => writeNumber(outbox, SAVE_SEGMENT, lsn)),
    );
    return (await answers).find((errno) => errno !== 0) ?? 0;
  }

  /**
   * The actor's thread has ended and no other runs yet. What it took out of its mailbox and did not answer is asked
   * again; what it did not take is still there.
   */
  repeat(target: string): void {
    // What it has answered may still wait here.
    this.#drain();
    const { received } = this.#lane(target);
    for (const question of [...this.#questions]) {
      if (question.target !== target || ((received - question.sent) | 0) < 0) continue;
      this.#questions.delete(question);
      question.write(this.#context.outbox(target));
      question.sent = this.#lane(target).sent;
      this.#questions.add(question);
    }
  }

  #ask(target: string, write: (outbox: Outbox) => void): Question {
    write(this.#context.outbox(target));
    const question: Question = { target, write, sent: this.#lane(target).sent };
    this.#questions.add(question);
    return question;
  }

  #lane(target: string): { readonly sent: number; readonly received: number } {
    const { arena, topology } = this.#context;
    const lane = topology.actor(target).senders.indexOf('main');
    return peekMailbox(arena.region(mailboxRegion(target)))[lane]!;
  }

  #askIo(kind: number, argument = 0): Promise<number> {
    const ticket = this.#nextTicket++;
    return new Promise((answered) => {
      const question = this.#ask('io-0', (outbox) => writeWords(outbox, kind, ticket, argument));
      this.#tickets.set(ticket, (errno) => {
        this.#tickets.delete(ticket);
        this.#questions.delete(question);
        answered(errno);
      });
    });
  }

  /** An answer of this kind from every shard; `ask` for those that do not answer by themselves. */
  #fromShards(kind: number, ask?: (shard: string) => Question): Promise<number[]> {
    const asked = new Map(this.#shards.map((shard) => [shard, ask?.(shard)]));
    return new Promise((done) => {
      this.#gatherings.set(kind, { asked, values: new Map(), done });
    });
  }

  /** A shard that was asked again may answer twice, and one that was started again loads a segment unasked. */
  #gather(kind: number, shard: string, value: number): void {
    const gathering = this.#gatherings.get(kind);
    if (!gathering) return;
    gathering.values.set(shard, value);
    const question = gathering.asked.get(shard);
    if (question) this.#questions.delete(question);
    if (gathering.values.size < this.#shards.length) return;
    this.#gatherings.delete(kind);
    gathering.done([...gathering.values.values()]);
  }
}
