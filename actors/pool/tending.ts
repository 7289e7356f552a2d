/** What the pool actor does once a second, in steps that take a few milliseconds at most, and when memory is used up. */
import type { Namespace } from '../../fuse/namespace/namespace.ts';
import type { NodeTable } from '../../fuse/virtual/node-table.ts';
import type { SlabAllocator, SlabStats } from '../../runtime/memory/slab.ts';
import { type SlabKeeper, SPANS_READY } from '../../runtime/memory/slab-keeper.ts';
import { SlabScan } from '../../runtime/memory/slab-scan.ts';
import type { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import type { Context } from '../context.ts';
import type { PoolReport } from '../pool-report.ts';
import { actorName, tagName } from '../slab.ts';

/** Above this share of the budget the log says so, once, until it is below again: new files then become objects. */
const FULL = 0.9;
/** Spans and records of the tables looked at in one step. */
const SPANS_PER_STEP = 128;
const RECORDS_PER_STEP = 200_000;
/** Turns between two rounds that look for blocks nobody refers to. */
const AUDIT_EVERY = 60;
/** Turns that whole free spans wait for a user before their memory is given back. */
const TRIM_AFTER = 3;
/** Idle spans that make putting them together worth it. */
const JOIN_FROM = 2;

interface Parts {
  readonly slab: SlabAllocator;
  readonly namespace: Namespace;
  readonly nodes: NodeTable;
  readonly keeper: SlabKeeper;
  readonly metrics: MetricsBlock;
  readonly report: PoolReport;
  readonly context: Context;
}

export class Tending {
  readonly #parts: Parts;
  readonly #scan: SlabScan;
  #started: number;
  #epoch: number;
  #turn = 0;
  /** Of what was asked. */
  #answered = 0;
  #warned = false;
  #phase: 'idle' | 'marking' | 'walking' = 'idle';
  #record = 0;
  #rounds = 0;
  #audits = 0;
  #operations = -1;
  #spareTurns = 0;
  #suspects = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#scan = new SlabScan(parts.slab);
    const { clock } = parts.context;
    this.#started = clock.monotonic() - parts.slab.caches!.minute * 60_000;
    this.#epoch = parts.slab.caches!.epoch;
    this.#answered = parts.slab.caches!.asked;
  }

  /** Takes over what an earlier thread had in its hands. */
  recover(): number {
    return this.#inside(() => this.#parts.keeper.recover()) ?? 0;
  }

  tick(): void {
    const { slab, keeper } = this.#parts;
    this.#turn++;
    this.#inside(() => {
      slab.caches!.minute = Math.floor((this.#parts.context.clock.monotonic() - this.#started) / 60_000);
      keeper.ready();
      const stats = slab.stats();
      this.#warnWhenFull(stats);
      this.#step(stats);
      this.#trim(stats);
      this.#write(stats);
    });
  }

  /** Waits for somebody to find no memory, and frees what can be had at once. */
  async helpStarving(ms: number): Promise<void> {
    const { slab, keeper } = this.#parts;
    const caches = slab.caches!;
    const seen = this.#answered;
    await caches.askedSince(seen, ms);
    this.#answered = caches.asked;
    if (this.#answered === seen) return;
    const found = this.#inside(() => {
      if (slab.stats().freeSpanBytes > 0 || keeper.join(this.#scan.idle) > 0) return true;
      this.#phase = 'idle';
      this.#scan.begin(false);
      while (!this.#scan.step(SPANS_PER_STEP, caches.minute));
      return keeper.join(this.#scan.idle) > 0;
    });
    caches.answer(found === true);
  }

  /** A step of the round under way; the next round begins when something was allocated or freed since. */
  #step(stats: SlabStats): void {
    const { slab, namespace, nodes } = this.#parts;
    const operations = stats.allocations + stats.frees;
    if (this.#phase === 'idle') {
      const auditing = this.#turn % AUDIT_EVERY === 0;
      if (operations === this.#operations && !auditing) return;
      this.#operations = operations;
      this.#scan.begin(auditing);
      this.#phase = auditing ? 'marking' : 'walking';
      this.#record = 0;
    }
    if (this.#phase === 'marking') {
      const to = this.#record + RECORDS_PER_STEP;
      namespace.slabHandles(this.#scan.mark, this.#record, to);
      this.#record = to;
      if (to < namespace.slabRecords) return;
      nodes.slabHandles(this.#scan.mark);
      this.#phase = 'walking';
      this.#audits++;
    }
    if (!this.#scan.step(SPANS_PER_STEP, slab.caches!.minute)) return;
    this.#phase = 'idle';
    this.#roundOver();
  }

  #roundOver(): void {
    const { keeper, report, context } = this.#parts;
    this.#rounds++;
    const { idle, suspects, uses } = this.#scan;
    report.writeTags(uses);
    report.writeSuspects(suspects);
    if (idle.length >= JOIN_FROM) keeper.join(idle);
    if (suspects.length > this.#suspects) {
      const first = suspects[0]!;
      context.logger.warn(
        {
          blocks: suspects.length,
          ...first,
          tag: tagName(first.tag),
          holder: actorName(context, first.slot),
        },
        'memory that nothing refers to: it is free again after the next mount',
      );
    }
    this.#suspects = suspects.length;
  }

  /** Memory goes back once it was not wanted for a while: taking it again costs the one who takes it. */
  #trim({ usedBytes, capacityBytes }: SlabStats): void {
    const { keeper } = this.#parts;
    this.#spareTurns = keeper.spareSpans() > SPANS_READY ? this.#spareTurns + 1 : 0;
    if (this.#spareTurns < TRIM_AFTER || usedBytes > capacityBytes * FULL) return;
    this.#spareTurns = 0;
    keeper.trim();
  }

  #warnWhenFull({ usedBytes, capacityBytes }: SlabStats): void {
    const full = usedBytes > capacityBytes * FULL;
    if (full && !this.#warned) {
      const text = 'the memory budget is nearly used up: small files go to disk; raise memory.budget';
      this.#parts.context.logger.warn({ usedBytes, capacityBytes }, text);
    }
    this.#warned = full;
  }

  #write(stats: SlabStats): void {
    const { slab, metrics, keeper, report } = this.#parts;
    const { usedBytes, capacityBytes, highWater, allocations, frees, cacheHits } = stats;
    const values = { usedBytes, capacityBytes, highWaterBytes: highWater, allocations, frees, cacheHits };
    for (const [name, value] of Object.entries(values)) metrics.set(metrics.counter(name), value);
    report.write({
      minute: slab.caches!.minute,
      trimmedBytes: keeper.trimmedBytes,
      joinedSpans: keeper.joinedSpans,
      readiedMagazines: keeper.readied,
      rounds: this.#rounds,
      audits: this.#audits,
      suspects: this.#scan.suspects.length,
      suspectBytes: this.#scan.suspects.reduce((sum, { bytes }) => sum + bytes, 0),
      slackBytes: this.#scan.uses.reduce((sum, { slack }) => sum + slack, 0),
    });
  }

  /** Runs `work` unless the slab is being replaced; if it was, what is known of the old one is forgotten before. */
  #inside<T>(work: () => T): T | undefined {
    const { row } = this.#parts.slab.core;
    if (!row.enter()) return undefined;
    try {
      const { epoch } = this.#parts.slab.caches!;
      if (epoch !== this.#epoch) this.#startOver(epoch);
      return work();
    } finally {
      row.leave();
    }
  }

  #startOver(epoch: number): void {
    this.#epoch = epoch;
    this.#started = this.#parts.context.clock.monotonic();
    this.#phase = 'idle';
    this.#operations = -1;
    this.#suspects = 0;
    this.#parts.slab.core.readKey();
    this.#scan.forget();
  }
}
