/** `npm run bench:vectors`: see docs/PERFORMANCE.md. */
import fs from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { compare, REFERENCE, type Row } from './compare.ts';
import { generate, readDataset } from './data.ts';
import { candidates } from './engines.ts';

const USAGE = `npm run bench:vectors -- [options]
  --n N          vectors (20000)
  --dim D        dimension of those that are made (128)
  --kind K       clustered or uniform (clustered)
  --data FILE    .fvecs, .npy (float32) or text, a vector a line, instead
  --unit         scale all to length 1; with it usearch takes part with int8
  --engines A,B  such as "native i8,native f32,hnswlib-node f32" (all)
  --ef A,B       efforts of the searches (16,32,64,128,256,512)
  --rounds N     rounds of 1,000 questions (3)
  --seed N       of the data (42)
  --json FILE    also write the rows there`;

function parse() {
  const options = {
    n: { type: 'string', default: '20000' },
    dim: { type: 'string', default: '128' },
    kind: { type: 'string', default: 'clustered' },
    data: { type: 'string' },
    unit: { type: 'boolean', default: false },
    engines: { type: 'string' },
    ef: { type: 'string', default: '16,32,64,128,256,512' },
    rounds: { type: 'string', default: '3' },
    seed: { type: 'string', default: '42' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  } as const;
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return refuse((error as Error).message);
  }
}

function refuse(reason: string): never {
  console.error(`${reason}\n${USAGE}`);
  process.exit(2);
}

function whole(name: string, text: string): number {
  const value = Number(text);
  return Number.isInteger(value) && value >= 1
    ? value
    : refuse(`--${name} wants whole numbers from 1, not '${text}'`);
}

function table(rows: readonly Row[]): string {
  const figure = (value: number | null, digits = 0) =>
    value === null
      ? '–'
      : value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits });
  const head = [
    'engine',
    'ef',
    'recall@10',
    'searches/s',
    `/ ${REFERENCE}`,
    'p50 µs',
    'p99 µs',
    'built/s',
    `/ ${REFERENCE}`,
    'bytes/vector',
  ];
  const body = rows.map((row) => [
    `${row.engine} ${row.elementType}`,
    String(row.ef),
    row.recall.toFixed(3),
    figure(row.qps),
    figure(row.ratio, 2),
    figure(row.p50),
    figure(row.p99),
    figure(row.buildPerSecond),
    figure(row.buildRatio, 2),
    figure(row.bytesPerVector),
  ]);
  const rule = head.map((_, i) => (i === 0 ? '---' : '---:'));
  return [head, rule, ...body].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const values = parse();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const { kind, unit } = values;
if (kind !== 'clustered' && kind !== 'uniform') refuse(`--kind wants clustered or uniform, not '${kind}'`);
const efs = values.ef.split(',').map((ef) => whole('ef', ef));
const n = whole('n', values.n);
const { makers, missing } = await candidates(unit);
const wanted = values.engines?.split(',') ?? [...makers.keys()];
const unknown = wanted.find((name) => !makers.has(name));
if (unknown !== undefined) refuse(`'${unknown}' is not one of ${[...makers.keys()].join(', ')}`);
const say = (text: string) => console.error(text);
say('making the data, and the exact answers');
const data =
  values.data === undefined
    ? generate(kind, n, whole('dim', values.dim), whole('seed', values.seed), unit)
    : readDataset(values.data, n, unit);
const engines = wanted.map((name) => makers.get(name)!(data, efs));
const rows = compare(data, engines, efs, whole('rounds', values.rounds), say);
if (values.json !== undefined) fs.writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
console.log(
  [
    `${new Date().toISOString().slice(0, 10)}, ${data.name}${unit ? ', unit length' : ''}, one thread, Node ${process.version}, ${os.availableParallelism()} CPUs (${os.cpus()[0]?.model ?? 'unknown'}), load average ${os.loadavg()[0]!.toFixed(1)} at the end. The npm builds of the peers use SSE alone.`,
    '',
    table(rows),
    '',
    ...missing.map((reason) => `- missing: ${reason}`),
  ].join('\n'),
);
