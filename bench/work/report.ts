/** From seconds to medians, ratios within a round, and what was to be reached. */
import { median } from '../fuse/report.ts';
import type { Task } from './tasks.ts';

export interface Taken {
  readonly seconds: number;
  /** Of the processor: user and system, of the program and of the server. What the kernel does elsewhere is not in it. */
  readonly cpu: number;
}

export interface Sample extends Taken {
  readonly round: number;
  readonly task: string;
  readonly peer: string;
}

const SUBJECT = 'vexfs';
/** Time of VexFS / time of the peer, at most. */
const LIMITS: Readonly<Record<string, number>> = { host: 2, bindfs: 1, gocryptfs: 1 };

export interface Row {
  readonly task: string;
  readonly seconds: Readonly<Record<string, number>>;
  readonly cpu: Readonly<Record<string, number>>;
  /** Seconds of VexFS / seconds of the peer, medians of those of a round. */
  readonly ratios: Readonly<Record<string, number>>;
}

function row(task: string, peers: readonly string[], samples: readonly Sample[]): Row {
  const of = (peer: string) => samples.filter((one) => one.task === task && one.peer === peer);
  const ours = new Map(of(SUBJECT).map((one) => [one.round, one.seconds]));
  const seconds: Record<string, number> = {};
  const cpu: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  for (const peer of peers) {
    const theirs = of(peer);
    seconds[peer] = median(theirs.map((one) => one.seconds));
    cpu[peer] = median(theirs.map((one) => one.cpu));
    const shared = theirs.filter(({ round }) => ours.has(round));
    if (peer !== SUBJECT && shared.length > 0)
      ratios[peer] = median(shared.map((one) => ours.get(one.round)! / one.seconds));
  }
  return { task, seconds, cpu, ratios };
}

function verdict({ ratios }: Row): string {
  const missed = Object.entries(LIMITS).filter(([peer, limit]) => (ratios[peer] ?? 0) > limit);
  return missed.length === 0 ? 'met' : `**missed**: ${missed.map(([peer]) => peer).join(', ')}`;
}

/** The rows of a table, with a line under the first; the first column is of words, the others of figures. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const [head, ...rest] = rows;
  const aligned = head!.map((_, i) => (i === 0 ? '---' : '---:'));
  return `${[head!, aligned, ...rest].map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`;
}

export function summary(
  tasks: readonly Task[],
  peers: readonly string[],
  samples: readonly Sample[],
): { rows: Row[]; text: string } {
  const rows = tasks.map(({ name }) => row(name, peers, samples));
  const others = peers.filter((peer) => peer !== SUBJECT);
  const times = rows.map((one) => [
    one.task,
    ...peers.map((peer) => one.seconds[peer]!.toFixed(2)),
    ...others.map((peer) => one.ratios[peer]?.toFixed(2) ?? ''),
    verdict(one),
  ]);
  const head = ['seconds', ...peers, ...others.map((peer) => `vexfs / ${peer}`), '≤ 2 × host, ≤ the others'];
  const processor = rows.map((one) => [one.task, ...peers.map((peer) => one.cpu[peer]!.toFixed(2))]);
  return {
    rows,
    text: `${table([head, ...times])}\n${table([['seconds of the processor, program and server', ...peers], ...processor])}`,
  };
}
