import { OPCODES, opcodeName } from '../../fuse/protocol/abi.ts';
import type { Request } from '../../fuse/protocol/request.ts';
import type { Channel } from '../../fuse/session/channel.ts';
import type { Flight } from '../../fuse/session/flight.ts';
import { describe, type ServerHooks } from '../../fuse/session/server.ts';
import type { Histogram } from '../../runtime/metrics/histogram.ts';
import { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import { countStep } from '../../runtime/scheduling/run-loop.ts';
import type { Context } from '../context.ts';
import { errorsOf } from '../metrics.ts';
import { METRICS } from '../regions.ts';

/** Times and counts every request by opcode, in this actor's own block of shared counters; each is a sign of life. */
export class RequestMetrics implements ServerHooks {
  /** Called when the doorbell rang; false ends serving. */
  onRing: () => boolean = () => true;
  readonly #context: Context;
  readonly #channel: Channel;
  readonly #flight: Flight;
  readonly #block: MetricsBlock;
  readonly #latency: readonly Histogram[];
  readonly #errors: Int32Array;
  readonly #polled: number;
  readonly #parked: number;
  readonly #failures: number;
  #startedAt = 0;

  constructor(context: Context, channel: Channel, flight: Flight) {
    this.#context = context;
    this.#channel = channel;
    this.#flight = flight;
    this.#block = new MetricsBlock(context.arena.region(METRICS), context.name);
    const opcodes = Array.from({ length: OPCODES }, (_, opcode) => opcodeName(opcode));
    this.#latency = opcodes.map((name) => this.#block.histogram(name));
    this.#errors = Int32Array.from(opcodes, (name) => this.#block.counter(errorsOf(name)));
    this.#polled = this.#block.counter('polled');
    this.#parked = this.#block.counter('parked');
    this.#failures = this.#block.counter('handlerFailures');
  }

  started(opcode: number): void {
    this.#startedAt = performance.now();
    this.#context.trace.began(opcode, this.#startedAt);
    this.#flight.since = this.#startedAt;
    this.#context.state.beat();
  }

  finished(opcode: number, error: number, request: Request, isLater: boolean): void {
    const { trace } = this.#context;
    countStep(this.#context);
    if (opcode >= OPCODES) return;
    const now = performance.now();
    this.#latency[opcode]!.record((now - this.#startedAt) * 1e6);
    if (error !== 0) this.#block.add(this.#errors[opcode]!, 1);
    if (!isLater && trace.isOn) trace.answered(request.uniqueLo, request.uniqueHi, -error, now);
  }

  rang(): boolean {
    this.#context.state.beat();
    this.#block.set(this.#polled, this.#channel.polled);
    this.#block.set(this.#parked, this.#channel.parked);
    return this.onRing();
  }

  failed(request: Request, error: unknown): void {
    this.#block.add(this.#failures, 1);
    this.#context.logger.error(
      { err: error, request: describe(request) },
      'an operation failed: answered EIO',
    );
  }
}
