/** `npm run bench:vectors`: see docs/PERFORMANCE.md. */
import fs from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { compare, REFERENCE, type Row } from './compare.ts';
import { type Dataset, generate, QUERIES, readDataset } from './data.ts';
import { candidates, UNIT_ONLY } from './engines.ts';
import { measureKernels } from './kernels.ts';
import { effortTable, engineTable, kernelTable, recallTable, targetsTable, threadsTable } from './tables.ts';
import { EFFORT, engineTargets, NOTE, otherTargets, type Target } from './targets.ts';
import { measureThreads, type ThreadsRow } from './threads.ts';

const USAGE = `npm run bench:vectors -- [options]
  --n N          vectors (20000)
  --dim A,B      dimensions of those that are made: 128, 384, 768, 1536, any (128)
  --kind A,B     clustered, uniform (clustered)
  --data FILE    .fvecs, .npy (float32) or text, a vector a line, instead
  --unit         scale all to length 1; usearch takes part with int8 throughout, and not in a run of its own
  --engines A,B  such as "native i8,native f32,hnswlib-node f32" (all)
  --ef A,B       efforts of the searches (16,32,64,128,256,512)
  --rounds N     rounds of 1,000 questions (3)
  --recall       only recall at effort 64 beside that of hnswlib-node, on data of both kinds at all four dimensions (n 5000)
  --one-thread   leave out building and searching by two threads
  --seed N       of the data (42)
  --json FILE    also write the rows there`;

/** Those whose recall is compared. */
const RECALL_ENGINES = [`${REFERENCE} f32`, 'native i8', 'native f32'];
/** Those of the run with unit vectors, and their efforts. */
const UNIT_ENGINES = ['hnswlib-node f32', 'native i8', UNIT_ONLY];
const UNIT_EFFORTS = [16, 32, 64, 128];

function parse() {
  const options = {
    n: { type: 'string' },
    dim: { type: 'string' },
    kind: { type: 'string' },
    data: { type: 'string' },
    unit: { type: 'boolean', default: false },
    engines: { type: 'string' },
    ef: { type: 'string', default: '16,32,64,128,256,512' },
    rounds: { type: 'string', default: '3' },
    recall: { type: 'boolean', default: false },
    'one-thread': { type: 'boolean', default: false },
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

const values = parse();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const isRecall = values.recall;
const kinds = (values.kind ?? (isRecall ? 'clustered,uniform' : 'clustered'))
  .split(',')
  .map((kind) =>
    kind === 'clustered' || kind === 'uniform'
      ? kind
      : refuse(`--kind wants clustered or uniform, not '${kind}'`),
  );
const efs = (isRecall ? String(EFFORT) : values.ef).split(',').map((ef) => whole('ef', ef));
const dimensions = (values.dim ?? (isRecall ? '128,384,768,1536' : '128'))
  .split(',')
  .map((dim) => whole('dim', dim));
const n = whole('n', values.n ?? (isRecall ? '5000' : '20000'));
const seed = whole('seed', values.seed);
const rounds = whole('rounds', values.rounds);
const { makers, missing } = await candidates();
const asked = values.engines?.split(',') ?? (isRecall ? RECALL_ENGINES : [...makers.keys()]);
const unknown = asked.find((name) => !makers.has(name));
if (unknown !== undefined) refuse(`'${unknown}' is not one of ${[...makers.keys()].join(', ')}`);
const say = (text: string) => console.error(text);

console.log(
  `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${os.availableParallelism()} CPUs (${os.cpus()[0]?.model ?? 'unknown'}), load average ${loadAverage()} at the start. The npm builds of the peers use SSE alone.`,
);
const all: Row[] = [];
const threads: ThreadsRow[] = [];
const targets: Target[] = [];

/** Compares engines over a data set, and says what comes out. */
function run(data: Dataset, names: readonly string[], efforts: readonly number[]): void {
  const engines = names.map((name) => makers.get(name)!(data, efforts));
  const rows = compare(data, engines, efforts, rounds, say);
  all.push(...rows);
  targets.push(...engineTargets(rows));
  if (!isRecall)
    console.log(`\n**${data.name}**, one thread\n\n${engineTable(rows)}\n\n${recallTable(rows)}`);
}

for (const make of datasets()) {
  say('making the data, and the exact answers');
  const data = make();
  run(data, values.unit ? asked : asked.filter((name) => name !== UNIT_ONLY), efs);
  if (values['one-thread'] || isRecall) continue;
  say('one thread and two');
  threads.push(await measureThreads(data, 'i8'), await measureThreads(data, 'f32'));
}
if (!values.unit && !isRecall && values.engines === undefined && makers.has(UNIT_ONLY)) {
  say('unit vectors, for int8 of usearch');
  run(generate('clustered', n, dimensions[0]!, seed, true), UNIT_ENGINES, UNIT_EFFORTS);
}
if (threads.length > 0) console.log(`\n**One thread and two**, ef 64\n\n${threadsTable(threads)}`);
if (isRecall) console.log(`\n**Recall@10 at ef ${EFFORT}**, ${n} vectors\n\n${effortTable(all)}`);
const kernels = (isRecall ? [] : dimensions).flatMap((dimension) => measureKernels(dimension));
targets.push(...otherTargets(threads, kernels));
if (kernels.length > 0) console.log(`\n**Distance kernels**, in the first cache\n\n${kernelTable(kernels)}`);
if (!isRecall) console.log(`\n**Targets**. ${NOTE}\n\n${targetsTable(targets)}`);
console.log(
  ['', ...missing.map((reason) => `- missing: ${reason}`), `Load average ${loadAverage()} at the end.`].join(
    '\n',
  ),
);
if (values.json !== undefined)
  fs.writeFileSync(values.json, `${JSON.stringify([...all, ...threads, ...kernels], null, 2)}\n`);

function datasets(): (() => Dataset)[] {
  const file = values.data;
  if (file !== undefined) return [() => readDataset(file, n, values.unit)];
  return kinds.flatMap((kind) =>
    dimensions.map((dim) => () => generate(kind, n, dim, seed, values.unit, isRecall ? QUERIES : undefined)),
  );
}

function loadAverage(): string {
  return os.loadavg()[0]!.toFixed(1);
}
