/** From seconds to medians, ratios within a round, and what was to be reached. */
import { median } from '../fuse/report.ts';
import type { Task } from './tasks.ts';

export interface Sample {
  readonly round: number;
  readonly task: string;
  readonly peer: string;
  readonly seconds: number;
}

const SUBJECT = 'vexfs';
/** Time of VexFS / time of the peer, at most. */
const LIMITS: Readonly<Record<string, number>> = { host: 2, bindfs: 1, gocryptfs: 1 };

export interface Row {
  readonly task: string;
  readonly seconds: Readonly<Record<string, number>>;
  readonly ratios: Readonly<Record<string, number>>;
}

function row(task: string, peers: readonly string[], samples: readonly Sample[]): Row {
  const of = (peer: string) =>
    new Map(
      samples.filter((one) => one.task === task && one.peer === peer).map((one) => [one.round, one.seconds]),
    );
  const ours = of(SUBJECT);
  const seconds: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  for (const peer of peers) {
    const theirs = of(peer);
    seconds[peer] = median([...theirs.values()]);
    const shared = [...theirs.keys()].filter((round) => ours.has(round));
    if (peer !== SUBJECT && shared.length > 0)
      ratios[peer] = median(shared.map((round) => ours.get(round)! / theirs.get(round)!));
  }
  return { task, seconds, ratios };
}

function verdict({ ratios }: Row): string {
  const missed = Object.entries(LIMITS).filter(([peer, limit]) => (ratios[peer] ?? 0) > limit);
  return missed.length === 0 ? 'met' : `**missed**: ${missed.map(([peer]) => peer).join(', ')}`;
}

export function summary(
  tasks: readonly Task[],
  peers: readonly string[],
  samples: readonly Sample[],
): { rows: Row[]; text: string } {
  const rows = tasks.map(({ name }) => row(name, peers, samples));
  const others = peers.filter((peer) => peer !== SUBJECT);
  const head = ['seconds', ...peers, ...others.map((peer) => `vexfs / ${peer}`), '≤ 2 × host, ≤ the others'];
  const lines = rows.map((one) => [
    one.task,
    ...peers.map((peer) => one.seconds[peer]!.toFixed(2)),
    ...others.map((peer) => one.ratios[peer]?.toFixed(2) ?? ''),
    verdict(one),
  ]);
  const aligned = head.map((_, i) => (i === 0 || i === head.length - 1 ? '---' : '---:'));
  return {
    rows,
    text: `${[head, aligned, ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`,
  };
}
