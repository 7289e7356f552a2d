import type { ConfigChange, ReloadReport } from './protocol.ts';

/** One line for each change, for people. */
export function describeReload({ applied, needsRemount, failed = [] }: ReloadReport): string[] {
  const change = ({ key, from, to }: ConfigChange): string => `${key}: ${from} → ${to}`;
  const lines = [
    ...applied.map((live) => `${change(live)}, applied`),
    ...failed.map((other) => `${change(other)}, failed: ${other.why}`),
    ...needsRemount.map(({ why, ...other }) => `${change(other)}, needs a new mount${why ? `: ${why}` : ''}`),
  ];
  return lines.length > 0 ? lines : ['nothing has changed'];
}
