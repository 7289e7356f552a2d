/** What keeping and building graphs is meant to reach, beside what was measured, and the one command that measures it. */
import { withHeader } from '../../cli/terminal.ts';

export interface Target {
  readonly what: string;
  readonly wanted: string;
  readonly byTheClock: string;
  /** What it would be if nothing took a processor from the threads. */
  readonly byCpu: string;
  /** By the clock, which is what users have. */
  readonly isMet: boolean;
  readonly command: string;
}

const CAUGHT_UP_PER_SECOND = 20_000;
const READ_SECONDS = 2;

/** Of rounds of a batch after other vectors: the median counts. */
export function caughtUpTarget(
  batch: number,
  dimension: number,
  shards: number,
  rounds: readonly { readonly caughtUpPerSecond: number; readonly perSecondByCpu: number }[],
): Target {
  const byTheClock = median(rounds.map(({ caughtUpPerSecond }) => caughtUpPerSecond));
  return {
    what: `batch of ${batch} × ${dimension}, in graphs by ${shards} threads`,
    wanted: `≥ ${CAUGHT_UP_PER_SECOND}/s`,
    byTheClock: `${byTheClock}/s`,
    byCpu: `${median(rounds.map(({ perSecondByCpu }) => perSecondByCpu))}/s`,
    isMet: byTheClock >= CAUGHT_UP_PER_SECOND,
    command: 'npm run bench:shards -- --batch --n 20000',
  };
}

/** Seconds for a million vectors, which all shards read at the same time. */
export function readTarget(dimension: number, seconds: number, cpuSeconds: number): Target {
  return {
    what: `snapshot of 1,000,000 × ${dimension} read from a warm disk`,
    wanted: `< ${READ_SECONDS} s`,
    byTheClock: `${seconds.toFixed(2)} s`,
    byCpu: `${cpuSeconds.toFixed(2)} s`,
    isMet: seconds < READ_SECONDS,
    command: 'npm run bench:shards -- --snapshot --n 1000000',
  };
}

export function printTargets(targets: readonly Target[]): void {
  if (targets.length === 0) return;
  const rows = targets.map(({ what, wanted, byTheClock, byCpu, isMet, command }) => [
    what,
    wanted,
    byTheClock,
    byCpu,
    isMet ? 'met' : 'missed',
    command,
  ]);
  console.log();
  for (const row of withHeader(['TARGET', 'WANTED', 'BY THE CLOCK', 'BY CPU TIME', '', 'COMMAND'], rows, []))
    console.log(row);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
