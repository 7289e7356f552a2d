/**
 * All engines in one process on the same data, in turns: what disturbs one, disturbs the others. Ratios are of processor time, which
 * leaves out when others had the processor; rates are of the clock.
 */
import type { Dataset } from './data.ts';
import type { Engine } from './engines.ts';

export interface Row {
  readonly engine: string;
  readonly elementType: 'f32' | 'i8';
  /** Such as "clustered", or the name of a file. */
  readonly data: string;
  readonly dim: number;
  readonly n: number;
  readonly ef: number;
  readonly threads: number;
  /** Share of the 10 nearest that are found. */
  readonly recall: number;
  readonly qps: number;
  readonly buildPerSecond: number;
  readonly bytesPerVector: number | null;
  /** Of one search, µs. */
  readonly p50: number;
  readonly p99: number;
  /** Processor time of one search, µs: the median over the turns. */
  readonly cpu: number;
  /** Median over the turns of its rate to that of the reference in the same turn, at the same ef. */
  readonly ratio: number | null;
  /** The same of building, over its turns. */
  readonly buildRatio: number | null;
}

export const REFERENCE = 'hnswlib-node';
/** Questions of a turn: few, so that most turns are over before another process has the CPU. */
const TURN = 50;
const BUILD_TURN = 100;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

function isReference(engine: Engine): boolean {
  return engine.name === REFERENCE;
}

/** Microseconds of processor time of the process: one of its threads is at work, the others do next to nothing. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

interface Turn {
  /** Seconds by the clock. */
  readonly seconds: number;
  /** Microseconds of processor time. */
  readonly cpu: number;
}

/** What each turn took, by engine. */
function build(data: Dataset, engines: readonly Engine[], say: (text: string) => void): Turn[][] {
  const turns: Turn[][] = engines.map(() => []);
  const n = data.vectors.length;
  say(`building ${n} × ${data.dimension}`);
  const turn = Math.max(BUILD_TURN, Math.ceil(n / 400));
  for (let from = 0; from < n; from += turn) {
    engines.forEach((engine, e) => {
      const start = performance.now();
      const cpu = processorTime();
      for (let label = from; label < Math.min(n, from + turn); label++) engine.add(label);
      turns[e]!.push({ cpu: processorTime() - cpu, seconds: (performance.now() - start) / 1000 });
    });
  }
  for (const engine of engines) engine.finish();
  return turns;
}

function recallOf(data: Dataset, engine: Engine, ef: number): number {
  let found = 0;
  data.truth.forEach((truth, q) => {
    for (const label of Array.from(engine.search(q, ef))) if (truth.has(Number(label))) found++;
  });
  return found / (data.truth.length * 10);
}

function ratioOf(own: readonly Turn[], reference: readonly Turn[] | undefined): number | null {
  return reference === undefined ? null : median(own.map(({ cpu }, i) => reference[i]!.cpu / cpu));
}

export function compare(
  data: Dataset,
  engines: readonly Engine[],
  efs: readonly number[],
  rounds: number,
  say: (text: string) => void,
): Row[] {
  const built = build(data, engines, say);
  const reference = engines.findIndex(isReference);
  const rows: Row[] = [];
  for (const ef of efs) {
    say(`searching with ef ${ef}`);
    const recalls = engines.map((engine) => recallOf(data, engine, ef));
    const latencies: number[][] = engines.map(() => []);
    const turns: Turn[][] = engines.map(() => []);
    for (let round = 0; round < rounds; round++) {
      for (let from = 0; from + TURN <= data.queries.length; from += TURN) {
        engines.forEach((engine, e) => {
          // an exact scan is the same whatever the effort, and slow
          if (engine.name === 'exact' && (ef !== efs[0] || from > 0)) return;
          turns[e]!.push(timeTurn(engine, from, ef, latencies[e]!));
        });
      }
    }
    engines.forEach((engine, e) => {
      if (turns[e]!.length === 0) return;
      const sorted = latencies[e]!.sort((a, b) => a - b);
      const at = (share: number) => sorted[Math.floor(sorted.length * share)]!;
      const total = turns[e]!.reduce((sum, { seconds }) => sum + seconds, 0);
      const comparable = engine.name === 'exact' ? -1 : reference;
      rows.push({
        engine: engine.name,
        elementType: engine.elementType,
        data: data.kind,
        dim: data.dimension,
        n: data.vectors.length,
        ef,
        threads: 1,
        recall: recalls[e]!,
        qps: (turns[e]!.length * TURN) / total,
        buildPerSecond: data.vectors.length / built[e]!.reduce((sum, { seconds }) => sum + seconds, 0),
        bytesPerVector: engine.bytesPerVector() ?? null,
        cpu: median(turns[e]!.map(({ cpu }) => cpu)) / TURN,
        p50: at(0.5),
        p99: at(0.99),
        ratio: ratioOf(turns[e]!, turns[comparable]),
        buildRatio: ratioOf(built[e]!, built[comparable]),
      });
    });
  }
  return rows;
}

function timeTurn(engine: Engine, from: number, ef: number, latencies: number[]): Turn {
  const start = performance.now();
  const cpu = processorTime();
  let before = start;
  for (let q = from; q < from + TURN; q++) {
    engine.search(q, ef);
    const now = performance.now();
    latencies.push((now - before) * 1000);
    before = now;
  }
  return { cpu: processorTime() - cpu, seconds: (before - start) / 1000 };
}
