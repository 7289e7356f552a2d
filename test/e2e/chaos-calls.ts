/**
 * What the clients of the chaos test have in common: their arguments, their random numbers, and calls that are timed, counted,
 * and known to fail with EIO now and then.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlClient } from '../../cli/client.ts';
import type { VectorHit } from '../../cli/protocol.ts';
import { UserError } from '../../runtime/user-error.ts';
import { seeded } from '../seed.ts';

export type ClientKind = 'data' | 'names' | 'vectors' | 'bulk';

export interface ClientReport {
  readonly calls: number;
  /** Calls that failed with EIO. */
  readonly failed: number;
  /** The longest call, milliseconds, and which it was. */
  readonly longestMs: number;
  readonly longest: string;
  /** What was not as it must be; empty = nothing. */
  readonly problems: readonly string[];
  readonly ready?: true;
  readonly verified?: true;
}

export interface Client {
  prepare(): void | Promise<void>;
  step(): void | Promise<void>;
  /** At the end, and (`isRemounted`) after a kill and the next mount, when only what was synced is certain. */
  verify(isRemounted: boolean): void | Promise<void>;
}

/** The kernel has been told by then what to forget after an EIO. */
export const SETTLE_MS = 400;
/** A call that goes on failing is not one request that was lost. */
export const TRIES = 20;
const REPORT_EVERY_MS = 200;
const PROBLEMS_MAX = 20;

export const [kind, directory, store, seed] = process.argv.slice(2) as [ClientKind, string, string, string];

export const random = seeded(Number(seed));

export const tally = { calls: 0, failed: 0, longestMs: 0, longest: '' };
const problems: string[] = [];
let reportedAt = 0;

export function report(more: object = {}): void {
  process.send?.({ ...tally, problems, ...more } satisfies ClientReport);
  reportedAt = performance.now();
}

/** A sign of life, not too often. */
export function reportNowAndThen(): void {
  if (performance.now() - reportedAt >= REPORT_EVERY_MS) report();
}

export function problem(text: string): void {
  if (problems.length < PROBLEMS_MAX) problems.push(`${kind}: ${text}`);
}

function note(what: string, ms: number): void {
  if (ms > tally.longestMs) [tally.longestMs, tally.longest] = [ms, what];
}

export function timed<T>(what: string, call: () => T): T {
  const started = performance.now();
  tally.calls++;
  try {
    return call();
  } finally {
    note(what, performance.now() - started);
  }
}

export const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** Whether the call succeeded; false = EIO. Anything else that is thrown is a problem of the mount. */
export function attempt(what: string, call: () => void): boolean {
  try {
    timed(what, call);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EIO') throw error;
    tally.failed++;
    return false;
  }
}

/** The result of a call that changes nothing, or nothing more the second time. */
export function insist<T>(what: string, call: () => T): T {
  for (let tried = 1; ; tried++) {
    try {
      return timed(what, call);
    } catch (error) {
      if (codeOf(error) !== 'EIO' || tried === TRIES) throw error;
      tally.failed++;
      settle();
    }
  }
}

export function settle(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETTLE_MS);
}

/** The `k` nearest of a collection; undefined when no search is answered, which is a problem and has been noted. */
export async function nearest(
  control: ControlClient,
  what: string,
  params: { collection: string; vector: number[]; k: number },
): Promise<readonly VectorHit[] | undefined> {
  for (let tried = 1; ; tried++) {
    const started = performance.now();
    tally.calls++;
    try {
      return await control.call('vectorSearch', params);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      tally.failed++;
      if (tried === TRIES) {
        problem(`no search is answered: ${error.message}`);
        return undefined;
      }
    } finally {
      note(what, performance.now() - started);
    }
    await sleep(SETTLE_MS);
  }
}
