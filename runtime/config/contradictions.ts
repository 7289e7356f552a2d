/** What single values cannot say: relations between keys of one configuration that must hold on any machine. */
import type { Config } from './schema.ts';

export interface Contradiction {
  /** The key it is reported at. */
  readonly path: readonly [section: string, name: string];
  /** A sentence without a full stop, with both keys and their values. */
  readonly message: string;
}

export function contradictions(config: Config): Contradiction[] {
  return [...graphTooNarrow(config), ...rulesThatNeverMatch(config)];
}

function graphTooNarrow({ vectors }: Config): Contradiction[] {
  const { m, ef_construction } = vectors;
  if (ef_construction >= m) return [];
  const message = `vectors.ef_construction (${ef_construction}) must be at least vectors.m (${m})`;
  return [{ path: ['vectors', 'ef_construction'], message }];
}

function rulesThatNeverMatch({ index }: Config): Contradiction[] {
  const rule = index.exclude.find((text) => text.startsWith('/') || text.endsWith('/'));
  if (rule === undefined) return [];
  const bare = rule.replace(/^\/+|\/+$/g, '');
  const message = `index.exclude has "${rule}", which nothing matches: paths begin below the mount, so write "${bare}"`;
  return [{ path: ['index', 'exclude'], message }];
}
