/** What single values cannot say: relations between keys of one configuration that must hold on any machine. */
import type { Config } from './schema.ts';

export interface Contradiction {
  /** The key it is reported at. */
  readonly path: readonly [section: string, name: string];
  /** A sentence without a full stop, with both keys and their values. */
  readonly message: string;
}

export function contradictions(config: Config): Contradiction[] {
  return [
    ...graphTooNarrow(config),
    ...rulesThatNeverMatch(config),
    ...impatience(config),
    ...lessRoomThanWorkers(config),
  ];
}

function graphTooNarrow({ vectors }: Config): Contradiction[] {
  const { m, ef_construction } = vectors;
  if (ef_construction >= m) return [];
  const message = `vectors.ef_construction (${ef_construction}) must be at least vectors.m (${m})`;
  return [{ path: ['vectors', 'ef_construction'], message }];
}

/** Beats that a thread must miss before it can be said to hang: one late look is no proof. */
const BEATS_MISSED = 4;

function impatience({ supervision }: Config): Contradiction[] {
  const { heartbeat_ms, hang_ms, request_deadline_s } = supervision;
  const found: Contradiction[] = [];
  if (hang_ms < BEATS_MISSED * heartbeat_ms) {
    const message = `supervision.hang_ms (${hang_ms}) must be at least ${BEATS_MISSED} times supervision.heartbeat_ms (${heartbeat_ms})`;
    found.push({ path: ['supervision', 'hang_ms'], message });
  }
  if (request_deadline_s * 1000 < hang_ms) {
    const message = `supervision.request_deadline_s (${request_deadline_s}) must be at least as long as supervision.hang_ms (${hang_ms}): a request would be given up before the thread it waits for is started again`;
    found.push({ path: ['supervision', 'request_deadline_s'], message });
  }
  return found;
}

function lessRoomThanWorkers({ workers }: Config): Contradiction[] {
  const found: Contradiction[] = [];
  for (const name of ['fuse', 'shards'] as const) {
    const [count, most] = [workers[name], workers[`${name}_max`]];
    if (most === 0 || most >= count) continue;
    const message = `workers.${name}_max (${most}) must be 0 or at least workers.${name} (${count})`;
    found.push({ path: ['workers', `${name}_max`], message });
  }
  return found;
}

function rulesThatNeverMatch({ index }: Config): Contradiction[] {
  const rule = index.exclude.find((text) => text.startsWith('/') || text.endsWith('/'));
  if (rule === undefined) return [];
  const bare = rule.replace(/^\/+|\/+$/g, '');
  const message = `index.exclude has "${rule}", which nothing matches: paths begin below the mount, so write "${bare}"`;
  return [{ path: ['index', 'exclude'], message }];
}
