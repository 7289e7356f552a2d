/** From samples to medians, ratios, and a table that says by itself which targets are met. */
import fs from 'node:fs';
import os from 'node:os';
import type { Outcome, Plan } from './harness.ts';
import { type Operation, type Targets, targetsOf } from './operations.ts';
import { hostFilesystem } from './peers/host.ts';

/** Most CPU time of io_uring for an operation, of that of the classic channel, which polls with read(2). */
const CPU_TARGET = 0.8;

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
  readonly targets: Targets;
  /** Whose the ratios are. */
  readonly subject: string;
  /** True when every target of a peer that ran is reached; undefined when there is nothing to judge. */
  readonly met: boolean | undefined;
}

export interface Report {
  readonly subject: string;
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

function row(operation: Operation, clients: number, plan: Plan, outcome: Outcome): Row {
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
  const subject = operation.subject ?? plan.subject;
  const ours = rates.get(subject);
  for (const [peer, byRound] of rates) {
    medians[peer] = median([...byRound.values()]);
    if (!ours || peer === subject) continue;
    const shared = [...byRound.keys()].filter((round) => ours.has(round));
    if (shared.length > 0)
      ratios[peer] = median(shared.map((round) => ours.get(round)! / byRound.get(round)!));
  }
  const judged = Object.entries(targetsOf(operation, clients)).filter(([peer]) => ratios[peer] !== undefined);
  return {
    operation: clients === 1 ? operation.name : `${operation.name}, ${clients} clients`,
    clients,
    unit: operation.unit,
    medians,
    ratios,
    cpu: Object.fromEntries([...cpus].map(([peer, values]) => [peer, median(values)])),
    targets: Object.fromEntries(judged),
    subject,
    met: judged.length === 0 ? undefined : judged.every(([peer, least]) => ratios[peer]! >= least),
  };
}

export function summarise(plan: Plan, outcome: Outcome): Report {
  return {
    subject: plan.subject,
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
      rounds: new Set(outcome.samples.map(({ round }) => round)).size,
      placement: plan.placement,
    },
    peers: Object.fromEntries(outcome.ran),
    troubles: Object.fromEntries(outcome.troubles),
    skipped: Object.fromEntries(outcome.skipped),
    rows: plan.operations.flatMap((operation) =>
      plan.clients.map((clients) => row(operation, clients, plan, outcome)),
    ),
    samples: outcome.samples,
  };
}

function rate(value: number | undefined, unit: Operation['unit']): string {
  if (value === undefined) return '–';
  if (unit === 'MB/s') return `${Math.round(value / 1e6).toLocaleString('en')} MB/s`;
  return Math.round(value).toLocaleString('en');
}

function judgement(row: Row, subject: string): string {
  if (row.met === undefined) return '';
  const targets = Object.entries(row.targets).map(([peer, least]) => `≥ ${least} × ${peer}`);
  const whose = row.subject === subject ? '' : `${row.subject} `;
  return `${whose}${targets.join(', ')}: ${row.met ? 'met' : '**missed**'}`;
}

/** The processor's time, and of the two ways in the ratio of it. */
function cpuTable(rows: readonly Row[], peers: readonly string[]): string[][] {
  const hasBoth = ['vexfs-uring', 'vexfs-classic'].every((peer) => peers.includes(peer));
  const ratio = ({ cpu }: Row): string => {
    const [uring, classic] = [cpu['vexfs-uring'], cpu['vexfs-classic']];
    if (uring === undefined || classic === undefined) return '–';
    const verdict = uring <= CPU_TARGET * classic ? 'met' : '**missed**';
    return `${(uring / classic).toFixed(2)} (≤ ${CPU_TARGET}: ${verdict})`;
  };
  return [
    ['CPU of both sides, µs', ...peers, ...(hasBoth ? ['vexfs-uring / vexfs-classic'] : [])],
    ['---', ...peers.map(() => '---:'), ...(hasBoth ? ['---'] : [])],
    ...rows
      .filter(({ unit }) => unit === 'ops/s')
      .map((row) => [
        row.operation,
        ...peers.map((peer) => row.cpu[peer]?.toFixed(1) ?? '–'),
        ...(hasBoth ? [ratio(row)] : []),
      ]),
  ];
}

export function markdown(report: Report): string {
  const peers = [...new Set([...Object.keys(report.peers), ...Object.keys(report.troubles)])];
  const { subject } = report;
  const others = peers.filter((peer) => peer !== subject && peers.includes(subject));
  const table = [
    ['operation', ...peers, ...others.map((peer) => `${subject} / ${peer}`), 'target'],
    ['---', ...peers.map(() => '---:'), ...others.map(() => '---:'), '---'],
    ...report.rows.map((row) => [
      row.operation,
      ...peers.map((peer) =>
        report.troubles[peer]?.startsWith('missing') ? 'missing' : rate(row.medians[peer], row.unit),
      ),
      ...others.map((peer) => row.ratios[peer]?.toFixed(2) ?? '–'),
      judgement(row, subject),
    ]),
  ];
  const judged = report.rows.filter((row) => row.met !== undefined);
  const { environment } = report;
  return [
    `${environment.date}, Linux ${environment.kernel}, Node ${environment.node}, ${environment.cpus} CPUs (${environment.model}), ${environment.hostFilesystem}, as ${environment.user}, ${environment.rounds} rounds, placement ${environment.placement}, load average ${environment.loadAverage} at the end. Operations per second unless a unit is given.`,
    '',
    ...table.map((cells) => `| ${cells.join(' | ')} |`),
    '',
    ...cpuTable(report.rows, peers).map((cells) => `| ${cells.join(' | ')} |`),
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
