/** `npm run bench:codec`: size and speed of the vector codec; see docs/PERFORMANCE.md. */
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../runtime/measure.ts';
import { type DataSet, embeddingsOf, madeByChance } from './data.ts';
import { blocks, type Path, perValue, perVector } from './paths.ts';

const USAGE = `npm run bench:codec -- [options]
  --text PATH    file or folder of text whose embeddings are compressed (docs of this repository); may be repeated
  --rounds N     rounds in which everything is done once (15)
  --json FILE    also write the rows there
  --quick        two rounds of little: shows that everything runs, measures nothing`;

interface Row {
  readonly data: string;
  readonly dimension: number;
  readonly vectors: number;
  readonly path: string;
  /** Bytes of the vectors as float32 / bytes written. */
  readonly ratio: number;
  /** Megabytes of float32 in a second of CPU time, medians. */
  readonly serialiseMBs: number;
  readonly parseMBs: number;
  /** How many times as fast as a Buffer per vector: medians of the ratios within a round. */
  readonly serialiseTimes: number;
  readonly parseTimes: number;
}

const FORMS = ['plain', 'exact', 'int8+16', 'int8+8', 'int8'] as const;

/** CPU time of all threads of this process (those that collect garbage are part of it): waiting for a CPU does not count. */
function seconds(step: () => unknown): number {
  const begin = process.cpuUsage();
  step();
  const { user, system } = process.cpuUsage(begin);
  return Math.max(1, user + system) / 1e6;
}

/** Every path once a round, beginning with another one each time. */
function measure(data: DataSet, rounds: number): Row[] {
  const paths: Path[] = [perVector(data), perValue(data), ...FORMS.map((form) => blocks(data, form))];
  const bytes = data.vectors.length * data.dimension * 4;
  const times = paths.map(() => ({ serialise: [] as number[], parse: [] as number[], written: 0 }));
  // The first two rounds are for the compiler.
  for (let round = -2; round < rounds; round++) {
    for (let i = 0; i < paths.length; i++) {
      const which = (i + round + 2) % paths.length;
      const { serialise, parse } = times[which]!;
      const serialised = seconds(() => {
        times[which]!.written = paths[which]!.serialise();
      });
      const parsed = seconds(() => paths[which]!.parse());
      if (round < 0) continue;
      serialise.push(serialised);
      parse.push(parsed);
    }
  }
  const [baseline] = times;
  const quicker = (of: readonly number[], than: readonly number[]): number =>
    median(of.map((time, round) => than[round]! / time));
  return paths.map(({ name }, i) => ({
    data: data.name,
    dimension: data.dimension,
    vectors: data.vectors.length,
    path: name,
    ratio: bytes / times[i]!.written,
    serialiseMBs: bytes / 1e6 / median(times[i]!.serialise),
    parseMBs: bytes / 1e6 / median(times[i]!.parse),
    serialiseTimes: quicker(times[i]!.serialise, baseline!.serialise),
    parseTimes: quicker(times[i]!.parse, baseline!.parse),
  }));
}

function markdown(rows: readonly Row[]): string {
  const lines = [
    '| vectors | way | float32 : bytes | serialise | parse | times a Buffer per vector |',
    '| --- | --- | ---: | ---: | ---: | ---: |',
  ];
  let before = '';
  for (const row of rows) {
    const of = `${row.data} (${row.vectors.toLocaleString('en')} × ${row.dimension})`;
    const cells = [
      of === before ? '' : of,
      row.path,
      `${row.ratio.toFixed(2)} ×`,
      `${row.serialiseMBs.toFixed(0)} MB/s`,
      `${row.parseMBs.toFixed(0)} MB/s`,
      `${row.serialiseTimes.toFixed(2)}, ${row.parseTimes.toFixed(2)}`,
    ];
    lines.push(`| ${cells.join(' | ')} |`);
    before = of;
  }
  return lines.join('\n');
}

const { values } = parseArgs({
  options: {
    text: { type: 'string', multiple: true },
    rounds: { type: 'string', default: '15' },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const rounds = values.quick ? 2 : Number(values.rounds);
if (values.help || !Number.isInteger(rounds) || rounds < 1) {
  console.log(USAGE);
  process.exit(values.help ? 0 : 2);
}
const paths = values.text ?? [fileURLToPath(new URL('../../../docs', import.meta.url))];
const rows: Row[] = [];
for (const data of [...paths.map(embeddingsOf), ...madeByChance(values.quick ? 200 : 4000)]) {
  rows.push(...measure(data, rounds));
}
const load = os.loadavg()[0]!.toFixed(1);
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ load, rounds, rows }, null, 2)}\n`);
console.log(
  `${markdown(rows)}\n\n${rounds} rounds, MB of float32 in a second of CPU time; load average ${load} at the end.`,
);
