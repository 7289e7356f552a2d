/** What was measured, as tables of Markdown. */
import { REFERENCE, type Row } from './compare.ts';
import { RECALLS, ratioAtRecall } from './equal-recall.ts';
import type { KernelRow } from './kernels.ts';
import { RECALL_LOSS, type Target } from './targets.ts';
import type { ThreadsRow } from './threads.ts';

function figure(value: number | null, digits = 0): string {
  const digit = { maximumFractionDigits: digits, minimumFractionDigits: digits };
  return value === null ? '–' : value.toLocaleString('en', digit);
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const rule = head.map((_, i) => (i === 0 ? '---' : '---:'));
  return [head, rule, ...body].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export function engineTable(rows: readonly Row[]): string {
  const head = [
    'engine',
    'ef',
    'recall@10',
    'searches/s',
    `/ ${REFERENCE}`,
    'CPU µs',
    'p50 µs',
    'p99 µs',
    'built/s',
    `/ ${REFERENCE}`,
    'bytes/vector',
  ];
  return table(
    head,
    rows.map((row) => [
      `${row.engine} ${row.elementType}`,
      String(row.ef),
      row.recall.toFixed(3),
      figure(row.qps),
      figure(row.ratio, 2),
      figure(row.cpu, 1),
      figure(row.p50),
      figure(row.p99),
      figure(row.buildPerSecond),
      figure(row.buildRatio, 2),
      figure(row.bytesPerVector),
    ]),
  );
}

/** Ratios at equal recall, one row an engine. */
export function recallTable(rows: readonly Row[]): string {
  const byEngine = new Map<string, Row[]>();
  for (const row of rows) {
    const name = `${row.engine} ${row.elementType}`;
    byEngine.set(name, [...(byEngine.get(name) ?? []), row]);
  }
  const reference = byEngine.get(`${REFERENCE} f32`) ?? [];
  const head = ['engine', ...RECALLS.map((recall) => `searches / ${REFERENCE} at recall ${recall}`)];
  const body = [...byEngine].map(([name, own]) => [
    name,
    ...RECALLS.map((recall) => figure(ratioAtRecall(own, reference, recall), 2)),
  ]);
  return table(head, body);
}

/** Recall of each engine at one effort, a row for each kind of data and dimension, and whether that of the reference is met. */
export function effortTable(rows: readonly Row[]): string {
  const engines = [...new Set(rows.map(({ engine, elementType }) => `${engine} ${elementType}`))];
  const sets = new Map<string, Map<string, number>>();
  for (const { data, dim, engine, elementType, recall } of rows) {
    const name = `${data}, ${dim}-d`;
    sets.set(name, (sets.get(name) ?? new Map()).set(`${engine} ${elementType}`, recall));
  }
  const body = [...sets].map(([name, recalls]) => {
    const least = (recalls.get(`${REFERENCE} f32`) ?? 0) - RECALL_LOSS;
    const isMet = [...recalls.values()].every((recall) => recall >= least);
    return [
      name,
      ...engines.map((engine) => figure(recalls.get(engine) ?? null, 4)),
      isMet ? 'met' : '**missed**',
    ];
  });
  return table(['data', ...engines, `≥ ${REFERENCE} − ${RECALL_LOSS}`], body);
}

export function threadsTable(rows: readonly ThreadsRow[]): string {
  const head = ['native', 'vectors', 'searches/s, one', 'two', 'gain', 'built/s, one', 'two', 'gain'];
  return table(
    head,
    rows.map((row) => [
      row.elementType,
      `${figure(row.n)} × ${row.dim}`,
      figure(row.qps[0]),
      figure(row.qps[1]),
      figure(row.searchGain, 2),
      figure(row.buildPerSecond[0]),
      figure(row.buildPerSecond[1]),
      figure(row.buildGain, 2),
    ]),
  );
}

export function kernelTable(rows: readonly KernelRow[]): string {
  const head = [
    'kernel',
    'dimension',
    'plain JavaScript, ns',
    'one a call',
    'of four a call',
    'plain / one',
    'plain / of four',
  ];
  return table(
    head,
    rows.map((row) => [
      row.kernel,
      String(row.dim),
      figure(row.plain, 1),
      figure(row.one, 1),
      figure(row.four, 1),
      figure(row.plain / row.one, 1),
      figure(row.plain / row.four, 1),
    ]),
  );
}

export function targetsTable(targets: readonly Target[]): string {
  const verdict = (isMet: boolean | null) => (isMet === null ? '–' : isMet ? 'met' : '**missed**');
  return table(
    ['target', 'wanted', 'measured', ''],
    targets.map(({ what, wanted, measured, isMet }) => [what, wanted, measured, verdict(isMet)]),
  );
}
