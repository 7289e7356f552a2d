/** From samples to medians, ratios, and tables that say by themselves which targets are met. */
import os from 'node:os';
import { type Effort, median, type Part, type Row } from './measure.ts';

export interface RowResult extends Row {
  readonly part: string;
  /** Median over the rounds, by peer. */
  readonly medians: Readonly<Record<string, number>>;
  /** How much better the subject is: median over the rounds of the ratio within the round, by peer. Above 1 is better. */
  readonly ratios: Readonly<Record<string, number>>;
  /** Undefined when there is nothing to judge. */
  readonly met: boolean | undefined;
}

export interface Report {
  readonly environment: Readonly<Record<string, string | number>>;
  readonly rows: readonly RowResult[];
  readonly parts: readonly Part[];
  /** Reason by part that was not measured. */
  readonly skipped: Readonly<Record<string, string>>;
}

const LESS_IS_BETTER: readonly Row['unit'][] = ['µs', 'ms', 'B/B'];

function result(part: Part, row: Row): RowResult {
  const byRound = (peer: string): Map<number, number> =>
    new Map(
      part.samples
        .filter((sample) => sample.row === row.name && sample.peer === peer)
        .map(({ round, value }) => [round, value]),
    );
  const medians: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  const subject = byRound(row.subject);
  for (const peer of row.peers) {
    const values = byRound(peer);
    if (values.size > 0) medians[peer] = median([...values.values()]);
    const shared = [...values.keys()].filter((round) => subject.has(round));
    if (peer === row.subject || shared.length === 0) continue;
    const better = shared.map((round) => subject.get(round)! / values.get(round)!);
    ratios[peer] = median(LESS_IS_BETTER.includes(row.unit) ? better.map((ratio) => 1 / ratio) : better);
  }
  const judged = [
    ...(row.least === undefined ? [] : [medians[row.subject]! >= row.least]),
    ...(row.most === undefined ? [] : [medians[row.subject]! <= row.most]),
    ...Object.entries(row.targets ?? {})
      .filter(([peer]) => ratios[peer] !== undefined)
      .map(([peer, least]) => ratios[peer]! >= least),
  ];
  return {
    ...row,
    part: part.name,
    medians,
    ratios,
    met: judged.length === 0 ? undefined : !judged.includes(false),
  };
}

export function summarise(parts: readonly Part[], skipped: Record<string, string>, effort: Effort): Report {
  return {
    environment: {
      date: new Date().toISOString().slice(0, 10),
      kernel: os.release(),
      node: process.version,
      cpus: os.availableParallelism(),
      model: os.cpus()[0]?.model ?? 'unknown',
      rounds: effort.rounds,
      milliseconds: effort.milliseconds,
      loadAverage: os.loadavg()[0]!.toFixed(1),
    },
    rows: parts.flatMap((part) => part.rows.map((row) => result(part, row))),
    parts,
    skipped,
  };
}

function shown(value: number | undefined, unit: Row['unit']): string {
  if (value === undefined) return '–';
  if (unit === '×') return value.toFixed(3);
  if (unit === 'B/B') return value.toFixed(2);
  if (unit === 'µs' || unit === 'ms')
    return `${value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 1 : 0 })} ${unit}`;
  return `${Math.round(value).toLocaleString('en')}/s`;
}

function judgement({ subject, unit, least, most, targets, met }: RowResult): string {
  const wanted = [
    ...(least === undefined ? [] : [`${subject} ≥ ${shown(least, unit)}`]),
    ...(most === undefined ? [] : [`${subject} ≤ ${shown(most, unit)}`]),
    ...Object.entries(targets ?? {}).map(([peer, ratio]) => `≥ ${ratio} × ${peer}`),
  ];
  const verdict = met === undefined ? 'not judged' : met ? 'met' : '**missed**';
  return wanted.length === 0 ? '' : `${wanted.join(', ')}: ${verdict}`;
}

function table(part: Part, rows: readonly RowResult[]): string[] {
  const { subject, peers } = part.rows[0]!;
  const others = peers.filter((peer) => peer !== subject);
  const lines = [
    [part.name, ...peers, ...others.map((peer) => `${subject} : ${peer}`), 'target'],
    ['---', ...peers.map(() => '---:'), ...others.map(() => '---:'), '---'],
    ...rows.map((row) => [
      row.name,
      ...peers.map((peer) => shown(row.medians[peer], row.unit)),
      ...others.map((peer) => (row.ratios[peer] === undefined ? '–' : `${row.ratios[peer].toFixed(2)} ×`)),
      judgement(row),
    ]),
  ];
  return [
    ...lines.map((cells) => `| ${cells.join(' | ')} |`),
    '',
    ...part.notes.map((note) => `- ${note}`),
    '',
  ];
}

export function markdown(report: Report): string {
  const { environment: e, rows } = report;
  const judged = rows.filter(({ met }) => met !== undefined);
  return [
    `${e.date}, Linux ${e.kernel}, Node ${e.node}, ${e.cpus} CPUs (${e.model}), ${e.rounds} rounds of ${e.milliseconds} ms, load average ${e.loadAverage} at the end. Medians; ratios are medians of the ratios within a round, above 1 is better for the first.`,
    '',
    ...report.parts.flatMap((part) =>
      table(
        part,
        rows.filter((row) => row.part === part.name),
      ),
    ),
    ...Object.entries(report.skipped).map(([part, reason]) => `- **${part}** not measured: ${reason}`),
    `Targets met: ${judged.filter(({ met }) => met).length} of ${judged.length}.`,
    '',
  ].join('\n');
}
