import fs from 'node:fs';
import type { Peer } from './peer.ts';

/** The filesystem type of `directory`, from the longest mount point that holds it. */
export function hostFilesystem(directory: string): string {
  let best = '';
  let type = 'unknown';
  for (const row of fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const point = row.split(' ')[4];
    if (
      !point ||
      !`${directory}/`.startsWith(point === '/' ? '/' : `${point}/`) ||
      point.length < best.length
    )
      continue;
    best = point;
    type = row.split(' - ')[1]!.split(' ')[0]!;
  }
  return type;
}

/** The filesystem below all the others: what they cost is the distance to it. */
export const host: Peer = {
  name: 'host',
  missing: async () => undefined,
  start: async (workspace) => ({
    directory: workspace,
    description: hostFilesystem(workspace),
    pid: undefined,
    alive: true,
    stop: async () => undefined,
    abort: () => undefined,
  }),
};
