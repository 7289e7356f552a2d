import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import { ActorState, READY } from '../../runtime/scheduling/actor-state.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { Context } from '../context.ts';
import { askedShardOf, HIT_BYTES, hitsOf } from '../messages.ts';
import { ACTOR_STATES } from '../regions.ts';
import { holderOf, holders, phaseOf, Route, SETTLED } from '../route.ts';
import { trySearch } from '../shard-messages.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import type { Trace } from '../trace.ts';

const NO_VECTOR = new Float32Array(0);
/** How often is looked, while questions are open, whether a shard that was asked has died, milliseconds. */
const LOOK_MS = 50;
/** How soon a full lane is tried again, milliseconds. It drains within microseconds, unless its shard has died. */
const RETRY_MS = 1;
/** A question's id: the incarnation of the indexer in the high bits, so that no answer to a predecessor's fits. */
const NUMBER_BITS = 24;

/** One entry of a shard, as it answered. `distance` is the metric's: 1 − cosine, squared l2, or 1 − dot. */
export interface Hit {
  readonly ino: number;
  readonly generation: number;
  readonly chunk: number;
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly line: number;
  readonly version: number;
  readonly distance: number;
}

/** A question that not all shards have answered in time. */
export class SearchTimeout extends UserError {
  override name = 'SearchTimeout';
}

interface Line {
  readonly name: string;
  readonly outbox: Outbox;
  readonly state: ActorState;
}

interface Question {
  /** Another one each time that it is put. */
  id: number;
  /** By which those who were asked were chosen. */
  route: number;
  readonly collection: number;
  readonly vector: Float32Array;
  readonly k: number;
  readonly ef: number;
  readonly among: Uint32Array | undefined;
  readonly since: number;
  /** By shard number: those that have not answered, with the incarnation that was asked. */
  readonly missing: Map<number, number>;
  readonly hits: Hit[];
  readonly answered: (hits: Hit[]) => void;
  readonly failed: (error: SearchTimeout) => void;
}

/** Puts one query to every shard that holds something and merges what they answer. Lives on the indexer's event loop. */
export class ScatterGather {
  readonly #lines: readonly Line[];
  readonly #route: Route;
  readonly #open = new Map<number, Question>();
  readonly #deadlineMs: () => number;
  readonly #now: () => number;
  readonly #incarnation: number;
  readonly #trace: Trace;
  #number = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `deadlineMs`: how long a question waits, at present, for a shard that is being restarted. */
  constructor(context: Context, deadlineMs: () => number) {
    const states = context.arena.region(ACTOR_STATES);
    this.#lines = context.topology.ofKind('shard').map(({ name, slot }) => ({
      name,
      outbox: context.outbox(name),
      state: new ActorState(states, slot),
    }));
    this.#route = new Route(context.arena);
    this.#deadlineMs = deadlineMs;
    this.#now = context.clock.monotonic;
    this.#incarnation = context.settings.incarnation;
    this.#trace = context.trace;
  }

  /** Resolves when every search has its answers, or has been given up: no shard has another one under way then. */
  async idle(): Promise<void> {
    while (this.#open.size > 0) await new Promise((resume) => setTimeout(resume, 1));
  }

  /**
   * The `k` nearest entries of the collection over all shards, nearest first; with `among` exactly, and of these inodes alone. Rejects
   * with a {@link SearchTimeout}.
   */
  async search(
    collection: number,
    vector: Float32Array,
    k: number,
    ef: number,
    among?: Uint32Array,
  ): Promise<Hit[]> {
    const hits = await new Promise<Hit[]>((answered, failed) => {
      const since = this.#now();
      const missing = new Map<number, number>();
      const question = {
        id: 0,
        route: 0,
        collection,
        vector,
        k,
        ef,
        among,
        since,
        missing,
        hits: [],
        answered,
        failed,
      };
      this.#put(question);
      this.#trace.shardsAsked(question.id);
      this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
    });
    hits.sort((a, b) => a.distance - b.distance || a.ino - b.ino || a.chunk - b.chunk);
    return hits.length > k ? hits.slice(0, k) : hits;
  }

  /** Resolves when every shard has taken in what was put before: a question without a vector, which finds nothing. */
  async settled(): Promise<void> {
    await this.search(TEXT_COLLECTION, NO_VECTOR, 1, 1);
  }

  /**
   * A HITS message, from the shard that was asked or from one that stole the search. The first answer counts: one that
   * was asked twice may answer twice, and so may two of whom one died over it.
   */
  gather(u32: Uint32Array, offset: number): void {
    const at = offset >> 2;
    const question = this.#open.get(u32[at]!);
    const shard = askedShardOf(u32[at + 1]!);
    if (!question?.missing.delete(shard)) return;
    const f32 = new Float32Array(u32.buffer, u32.byteOffset, u32.length);
    const count = hitsOf(u32[at + 1]!);
    const isMoving = phaseOf(question.route) !== SETTLED;
    for (let i = 0; i < count; i++) {
      const hit = at + 2 + (i * HIT_BYTES) / 4;
      // Another shard has it as well while files move: who holds it says it.
      if (isMoving && holderOf(question.route, u32[hit]!) !== shard) continue;
      question.hits.push({
        ino: u32[hit]!,
        generation: u32[hit + 1]!,
        chunk: u32[hit + 2]!,
        byteOffset: u32[hit + 3]!,
        byteLength: u32[hit + 4]!,
        line: u32[hit + 5]!,
        version: u32[hit + 6]!,
        distance: f32[hit + 7]!,
      });
    }
    if (question.missing.size > 0) return;
    if (this.#route.word !== question.route) {
      // Somebody may have dropped what another was not asked for.
      this.#put(question);
      return;
    }
    this.#close(question);
    question.answered(question.hits);
  }

  #nextId(): number {
    this.#number = (this.#number + 1) % 2 ** NUMBER_BITS;
    return ((this.#incarnation << NUMBER_BITS) | this.#number) >>> 0;
  }

  /** Puts the question to all holders, from the beginning. */
  #put(question: Question): void {
    this.#open.delete(question.id);
    question.id = this.#nextId();
    question.route = this.#route.word;
    question.hits.length = 0;
    question.missing.clear();
    this.#open.set(question.id, question);
    for (let shard = 0; shard < holders(question.route); shard++) this.#ask(question, shard);
  }

  /** Puts the question into the shard's lane as soon as there is room; an event loop may not wait for it. */
  #ask(question: Question, shard: number): void {
    const { state, outbox } = this.#lines[shard]!;
    const { id, collection, k, ef, vector, among } = question;
    // Read before the question is sent: whoever takes it is this incarnation or a later one.
    const { incarnation } = state;
    question.missing.set(shard, incarnation);
    const attempt = (): void => {
      // Answered, given up, or being asked again.
      if (this.#open.get(id) !== question || question.missing.get(shard) !== incarnation) return;
      if (!trySearch(outbox, id, collection, k, ef, vector, among)) setTimeout(attempt, RETRY_MS);
    };
    attempt();
  }

  /** Asks successors what their predecessors may not have lived to answer, and gives up what has waited too long. */
  #look(): void {
    const late = this.#now() - this.#deadlineMs();
    for (const question of [...this.#open.values()]) {
      if (question.since <= late) this.#giveUp(question);
      // Who was asked may be gone for good.
      else if (question.route !== this.#route.word) this.#put(question);
      else {
        for (const [shard, incarnation] of question.missing) {
          const { state } = this.#lines[shard]!;
          if (state.incarnation !== incarnation && state.get() === READY) this.#ask(question, shard);
        }
      }
    }
  }

  #giveUp(question: Question): void {
    this.#close(question);
    const silent = [...question.missing.keys()].map((shard) => this.#lines[shard]!.name).join(', ');
    const seconds = Math.round(this.#deadlineMs() / 1000);
    question.failed(
      new SearchTimeout(`the search was not answered within ${seconds} s by ${silent}; ask again`),
    );
  }

  #close({ id }: Question): void {
    this.#open.delete(id);
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
