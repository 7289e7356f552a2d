import { peekMailbox } from '../../runtime/messaging/mailbox.ts';
import { HistogramSnapshot } from '../../runtime/metrics/histogram.ts';
import { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import { ActorState } from '../../runtime/scheduling/actor-state.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import { threadTimes } from '../../runtime/system/thread-stat.ts';
import type { Context } from '../context.ts';
import { ACTOR_STATES, METRICS, STORE_STATUS } from '../regions.ts';
import { type ActorPlan, mailboxRegion } from '../topology.ts';
import { type OpcodeTotals, opcodeTotals } from '../totals.ts';
import { pause } from './threads.ts';

/** Rates are over no less and no more than this. */
const LEAST_MS = 300;
const MOST_MS = 5000;
const KEPT = 16;

interface ActorSample {
  readonly incarnation: number;
  readonly heartbeat: number;
  readonly cpuNs: number;
  /** Where it ran last; −1 = not known. */
  readonly core: number;
  readonly received: number;
  /** Requests answered: of the kernel by a fuse actor, searches by a shard or the indexer. */
  readonly requests: number;
}

export interface Sample {
  /** Milliseconds of main's clock. */
  readonly at: number;
  readonly actors: ReadonlyMap<string, ActorSample>;
  readonly opcodes: ReadonlyMap<string, OpcodeTotals>;
  readonly logBytes: number;
  readonly commits: number;
  readonly indexed: number;
}

export interface ActorRates {
  /** Percent of one CPU. */
  readonly cpu: number;
  readonly core: number;
  readonly messagesPerSecond: number;
  readonly requestsPerSecond: number;
}

export interface OpcodeRates {
  readonly name: string;
  readonly perSecond: number;
  readonly errorsPerSecond: number;
  readonly p50us: number;
  readonly p99us: number;
}

/** Two looks at the counters in shared memory and in /proc make a rate. Ten who ask at once share the looks. */
export class Sampler {
  readonly #context: Context;
  readonly #samples: Sample[] = [];
  /** When each actor's heartbeat was last seen to have moved. */
  readonly #moved = new Map<string, { heartbeat: number; at: number }>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** The state now, and that of a moment ago: waits for one when nobody has looked recently. */
  async recent(): Promise<readonly [Sample, Sample]> {
    let now = this.take();
    let before = this.#samples.findLast(({ at }) => now.at - at >= LEAST_MS);
    if (before === undefined || now.at - before.at > MOST_MS) {
      before = now;
      this.#keep(now);
      await pause(LEAST_MS);
      now = this.take();
    }
    this.#keep(now);
    return [before, now];
  }

  /** Milliseconds since an actor's heartbeat was last seen to have moved. */
  heartbeatAge(name: string, now: Sample): number {
    const heartbeat = now.actors.get(name)!.heartbeat;
    const last = this.#moved.get(name);
    if (last?.heartbeat === heartbeat) return Math.round(now.at - last.at);
    this.#moved.set(name, { heartbeat, at: now.at });
    return 0;
  }

  take(): Sample {
    const { arena, topology, clock } = this.#context;
    const { logBytes, commits } = new StoreStatus(arena.region(STORE_STATUS)).read();
    const indexer = new MetricsBlock(arena.region(METRICS), 'indexer');
    return {
      at: clock.monotonic(),
      actors: new Map(topology.actors.map((actor) => [actor.name, this.#actor(actor)])),
      opcodes: opcodeTotals(this.#context),
      logBytes,
      commits,
      indexed: indexer.get(indexer.counter('indexed')),
    };
  }

  #keep(sample: Sample): void {
    if (sample.at - (this.#samples.at(-1)?.at ?? 0) < LEAST_MS / 2) return;
    this.#samples.push(sample);
    if (this.#samples.length > KEPT) this.#samples.shift();
  }

  #actor(actor: ActorPlan): ActorSample {
    const { arena } = this.#context;
    const { incarnation, heartbeat, thread } = new ActorState(arena.region(ACTOR_STATES), actor.slot);
    const lanes = peekMailbox(arena.region(mailboxRegion(actor.name)));
    return {
      incarnation,
      heartbeat,
      ...threadTimes(thread),
      received: lanes.reduce((sum, { received }) => sum + received, 0),
      requests: incarnation === 0 ? 0 : this.#requests(actor),
    };
  }

  #requests({ name, kind }: ActorPlan): number {
    const block = new MetricsBlock(this.#context.arena.region(METRICS), name);
    if (kind === 'fuse') return block.histograms.reduce((sum, one) => sum + one.snapshot().count, 0);
    return kind === 'shard' || kind === 'indexer' ? block.get(block.counter('searches')) : 0;
  }
}

export function actorRates(name: string, before: Sample, now: Sample): ActorRates {
  const old = before.actors.get(name)!;
  const young = now.actors.get(name)!;
  const seconds = (now.at - before.at) / 1000;
  // A thread of another incarnation began at 0.
  const cpuNs = young.incarnation === old.incarnation ? young.cpuNs - old.cpuNs : young.cpuNs;
  return {
    cpu: round(Math.max(0, cpuNs) / 1e7 / seconds),
    core: young.core,
    messagesPerSecond: round(((young.received - old.received) >>> 0) / seconds),
    requestsPerSecond: round(Math.max(0, young.requests - old.requests) / seconds),
  };
}

/** Of the opcodes that were asked for between the two, busiest first. */
export function opcodeRates(before: Sample, now: Sample): OpcodeRates[] {
  const seconds = (now.at - before.at) / 1000;
  const rates: OpcodeRates[] = [];
  for (const [name, { latencies, errors }] of now.opcodes) {
    const old = before.opcodes.get(name);
    const between = new HistogramSnapshot();
    for (let i = 0; i < between.counts.length; i++) between.counts[i] = latencies.counts[i]!;
    between.largest = latencies.largest;
    if (old) between.subtract(old.latencies);
    const { count } = between;
    if (count === 0) continue;
    rates.push({
      name,
      perSecond: round(count / seconds),
      errorsPerSecond: round(Math.max(0, errors - (old?.errors ?? 0)) / seconds),
      p50us: round(between.quantile(0.5) / 1000),
      p99us: round(between.quantile(0.99) / 1000),
    });
  }
  return rates.sort((a, b) => b.perSecond - a.perSecond);
}

/** To a tenth. */
export function round(value: number): number {
  return Math.round(value * 10) / 10;
}
