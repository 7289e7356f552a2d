/** Turns the counters of all actors into rates, once a second. Reads everybody's block, writes only its own. */

import { peekMailbox } from '../../runtime/messaging/mailbox.ts';
import { MetricsBlock, readCounters } from '../../runtime/metrics/metrics.ts';
import { runOnEventLoop } from '../../runtime/scheduling/run-loop.ts';
import type { Context } from '../context.ts';
import { startedActors } from '../presence.ts';
import { METRICS } from '../regions.ts';
import { mailboxRegion } from '../topology.ts';

const PERIOD_MS = 1000;

interface Totals {
  readonly at: number;
  readonly requests: number;
  readonly searches: number;
  readonly messages: number;
  readonly indexed: number;
}

function readTotals(context: Context): Totals {
  const region = context.arena.region(METRICS);
  const counters = readCounters(region);
  const sum = (kind: 'fuse' | 'indexer', counter: string): number =>
    startedActors(context, kind).reduce((total, { name }) => total + (counters[name]?.[counter] ?? 0), 0);
  const requests = startedActors(context, 'fuse')
    .flatMap(({ name }) => new MetricsBlock(region, name).histograms)
    .reduce((total, histogram) => total + histogram.snapshot().count, 0);
  const messages = context.topology.actors
    .flatMap(({ name }) => peekMailbox(context.arena.region(mailboxRegion(name))))
    .reduce((total, { received }) => total + received, 0);
  return {
    at: context.clock.monotonic(),
    requests,
    searches: sum('indexer', 'searches'),
    messages,
    indexed: sum('indexer', 'indexed'),
  };
}

export async function run(context: Context): Promise<void> {
  const own = new MetricsBlock(context.arena.region(METRICS), context.name);
  const gauge = (name: string): ((value: number) => void) => {
    const counter = own.counter(name);
    return (value) => own.set(counter, value);
  };
  const requests = gauge('requestsPerSecond');
  const searches = gauge('searchesPerSecond');
  const messages = gauge('messagesPerSecond');
  const indexed = gauge('indexedPerSecond');
  let last = readTotals(context);
  const timer = setInterval(() => {
    const now = readTotals(context);
    const seconds = (now.at - last.at) / 1000;
    requests((now.requests - last.requests) / seconds);
    searches((now.searches - last.searches) / seconds);
    messages(((now.messages - last.messages) >>> 0) / seconds);
    indexed((now.indexed - last.indexed) / seconds);
    last = now;
  }, PERIOD_MS);
  await runOnEventLoop(context, {
    onMessage: (kind) => context.logger.error({ kind }, 'a message that stats does not know'),
    stop: () => clearInterval(timer),
  });
}
