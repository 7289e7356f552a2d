/** From samples to medians, ratios, and a table that says by itself which targets are met. */
import fs from 'node:fs';
import os from 'node:os';
import type { Outcome, Plan } from './harness.ts';
import type { Operation } from './operations.ts';
import { hostFilesystem } from './peers/host.ts';

/** Whose ratios to the others are judged. */
const SUBJECT = 'vexfs';

export interface Row {
  readonly operation: string;
  readonly clients: number;
  readonly unit: Operation['unit'];
  /** Median over the rounds, by peer. */
  readonly medians: Readonly<Record<string, number>>;
  /** Median over the rounds of VexFS / peer within the round, by peer. */
  readonly ratios: Readonly<Record<string, number>>;
  /** Median CPU time of server and clients for one operation, microseconds, by peer. */
  readonly cpu: Readonly<Record<string, number>>;
  readonly targets: Operation['targets'];
  /** Whose the ratios are; VexFS's with its defaults if left out. */
  readonly subject?: string | undefined;
  /** True when every target of a peer that ran is reached; undefined when there is nothing to judge. */
  readonly met: boolean | undefined;
}

export interface Report {
  readonly environment: Readonly<Record<string, string | number>>;
  readonly peers: Readonly<Record<string, string>>;
  readonly troubles: Readonly<Record<string, string>>;
  readonly skipped: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
  readonly samples: Outcome['samples'];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function row(operation: Operation, clients: number, outcome: Outcome): Row {
  const rates = new Map<string, Map<number, number>>();
  const cpus = new Map<string, number[]>();
  for (const sample of outcome.samples) {
    if (sample.operation !== operation.name || sample.clients !== clients) continue;
    cpus.set(sample.peer, [...(cpus.get(sample.peer) ?? []), sample.cpuMicroseconds]);
    const byRound = rates.get(sample.peer) ?? new Map<number, number>();
    rates.set(sample.peer, byRound.set(sample.round, sample.rate));
  }
  const medians: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  const subject = operation.subject ?? SUBJECT;
  const ours = rates.get(subject);
  for (const [peer, byRound] of rates) {
    medians[peer] = median([...byRound.values()]);
    if (!ours || peer === subject) continue;
    const shared = [...byRound.keys()].filter((round) => ours.has(round));
    if (shared.length > 0)
      ratios[peer] = median(shared.map((round) => ours.get(round)! / byRound.get(round)!));
  }
  const targets = clients === 1 ? operation.targets : {};
  const judged = Object.entries(targets).filter(([peer]) => ratios[peer] !== undefined);
  return {
    operation: clients === 1 ? operation.name : `${operation.name}, ${clients} clients`,
    clients,
    unit: operation.unit,
    medians,
    ratios,
    cpu: Object.fromEntries([...cpus].map(([peer, values]) => [peer, median(values)])),
    targets,
    subject: operation.subject,
    met: judged.length === 0 ? undefined : judged.every(([peer, least]) => ratios[peer]! >= least),
  };
}

export function summarise(plan: Plan, outcome: Outcome): Report {
  return {
    environment: {
      date: new Date().toISOString().slice(0, 10),
      kernel: os.release(),
      node: process.version,
      cpus: os.availableParallelism(),
      model: os.cpus()[0]?.model ?? 'unknown',
      memoryGiB: Math.round(os.totalmem() / 2 ** 30),
      hostFilesystem: hostFilesystem(fs.realpathSync(plan.parent)),
      loadAverage: os.loadavg()[0]!.toFixed(1),
      user: process.getuid?.() === 0 ? 'root' : 'ordinary',
      rounds: plan.rounds,
      placement: plan.placement,
    },
    peers: Object.fromEntries(outcome.ran),
    troubles: Object.fromEntries(outcome.troubles),
    skipped: Object.fromEntries(outcome.skipped),
    rows: plan.operations.flatMap((operation) =>
      plan.clients.map((clients) => row(operation, clients, outcome)),
    ),
    samples: outcome.samples,
  };
}

function rate(value: number | undefined, unit: Operation['unit']): string {
  if (value === undefined) return '–';
  if (unit === 'MB/s') return `${Math.round(value / 1e6).toLocaleString('en')} MB/s`;
  return Math.round(value).toLocaleString('en');
}

function judgement(row: Row): string {
  if (Object.keys(row.targets).length === 0) return '';
  const targets = Object.entries(row.targets).map(([peer, least]) => `≥ ${least} × ${peer}`);
  const whose = row.subject === undefined ? '' : `${row.subject} `;
  const verdict = row.met === undefined ? 'not judged' : row.met ? 'met' : '**missed**';
  return `${whose}${targets.join(', ')}: ${verdict}`;
}

export function markdown(report: Report): string {
  const peers = [...new Set([...Object.keys(report.peers), ...Object.keys(report.troubles)])];
  const others = peers.filter((peer) => peer !== SUBJECT && peers.includes(SUBJECT));
  const table = [
    ['operation', ...peers, ...others.map((peer) => `${SUBJECT} / ${peer}`), 'target'],
    ['---', ...peers.map(() => '---:'), ...others.map(() => '---:'), '---'],
    ...report.rows.map((row) => [
      row.operation,
      ...peers.map((peer) =>
        report.troubles[peer]?.startsWith('missing') ? 'missing' : rate(row.medians[peer], row.unit),
      ),
      ...others.map((peer) => row.ratios[peer]?.toFixed(2) ?? '–'),
      judgement(row),
    ]),
  ];
  const cpu = [
    ['CPU of both sides, µs', ...peers],
    ['---', ...peers.map(() => '---:')],
    ...report.rows
      .filter(({ unit }) => unit === 'ops/s')
      .map((row) => [row.operation, ...peers.map((peer) => row.cpu[peer]?.toFixed(1) ?? '–')]),
  ];
  const judged = report.rows.filter((row) => row.met !== undefined);
  const { environment } = report;
  return [
    `${environment.date}, Linux ${environment.kernel}, Node ${environment.node}, ${environment.cpus} CPUs (${environment.model}), ${environment.hostFilesystem}, as ${environment.user}, ${environment.rounds} rounds, placement ${environment.placement}, load average ${environment.loadAverage} at the end. Operations per second unless a unit is given.`,
    '',
    ...table.map((cells) => `| ${cells.join(' | ')} |`),
    '',
    ...cpu.map((cells) => `| ${cells.join(' | ')} |`),
    '',
    ...Object.entries(report.peers).map(([peer, description]) => `- ${peer}: ${description}`),
    ...Object.entries(report.troubles).map(([peer, reason]) => `- **${peer}**: ${reason}`),
    ...Object.entries(report.skipped).map(([what, reason]) => `- ${what} not measured: ${reason}`),
    ...(judged.length > 0
      ? ['', `Targets met: ${judged.filter((row) => row.met).length} of ${judged.length}.`]
      : []),
    '',
  ].join('\n');
}
