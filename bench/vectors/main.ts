/** `npm run bench:vectors`: see docs/PERFORMANCE.md. */
import fs from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { compare, type Row } from './compare.ts';
import { generate, readDataset } from './data.ts';
import { candidates } from './engines.ts';
import { measureKernels } from './kernels.ts';
import { engineTable, kernelTable, recallTable, threadsTable } from './tables.ts';
import { measureThreads, type ThreadsRow } from './threads.ts';

const USAGE = `npm run bench:vectors -- [options]
  --n N          vectors (20000)
  --dim A,B      dimensions of those that are made (128,384,768)
  --kind K       clustered or uniform (clustered)
  --data FILE    .fvecs, .npy (float32) or text, a vector a line, instead
  --unit         scale all to length 1; with it usearch takes part with int8
  --engines A,B  such as "native i8,native f32,hnswlib-node f32" (all)
  --ef A,B       efforts of the searches (16,32,64,128,256,512)
  --rounds N     rounds of 1,000 questions (3)
  --one-thread   leave out building and searching by two threads
  --seed N       of the data (42)
  --json FILE    also write the rows there`;

function parse() {
  const options = {
    n: { type: 'string', default: '20000' },
    dim: { type: 'string', default: '128,384,768' },
    kind: { type: 'string', default: 'clustered' },
    data: { type: 'string' },
    unit: { type: 'boolean', default: false },
    engines: { type: 'string' },
    ef: { type: 'string', default: '16,32,64,128,256,512' },
    rounds: { type: 'string', default: '3' },
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
const { kind, unit } = values;
if (kind !== 'clustered' && kind !== 'uniform') refuse(`--kind wants clustered or uniform, not '${kind}'`);
const efs = values.ef.split(',').map((ef) => whole('ef', ef));
const dimensions = values.dim.split(',').map((dim) => whole('dim', dim));
const n = whole('n', values.n);
const { makers, missing } = await candidates(unit);
const wanted = values.engines?.split(',') ?? [...makers.keys()];
const unknown = wanted.find((name) => !makers.has(name));
if (unknown !== undefined) refuse(`'${unknown}' is not one of ${[...makers.keys()].join(', ')}`);
const say = (text: string) => console.error(text);

console.log(
  `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${os.availableParallelism()} CPUs (${os.cpus()[0]?.model ?? 'unknown'}), load average ${loadAverage()} at the start. The npm builds of the peers use SSE alone.`,
);
const all: Row[] = [];
const threads: ThreadsRow[] = [];
for (const dimension of values.data === undefined ? dimensions : [0]) {
  say('making the data, and the exact answers');
  const data =
    dimension === 0
      ? readDataset(values.data!, n, unit)
      : generate(kind, n, dimension, whole('seed', values.seed), unit);
  const engines = wanted.map((name) => makers.get(name)!(data, efs));
  const rows = compare(data, engines, efs, whole('rounds', values.rounds), say);
  all.push(...rows);
  console.log(
    `\n**${data.name}${unit ? ', unit length' : ''}**, one thread\n\n${engineTable(rows)}\n\n${recallTable(rows)}`,
  );
  if (values['one-thread']) continue;
  say('one thread and two');
  threads.push(await measureThreads(data, 'i8'), await measureThreads(data, 'f32'));
}
if (threads.length > 0) console.log(`\n**One thread and two**, ef 64\n\n${threadsTable(threads)}`);
const kernels = dimensions.flatMap((dimension) => measureKernels(dimension));
console.log(`\n**Distance kernels**, in the first cache\n\n${kernelTable(kernels)}`);
console.log(
  ['', ...missing.map((reason) => `- missing: ${reason}`), `Load average ${loadAverage()} at the end.`].join(
    '\n',
  ),
);
if (values.json !== undefined)
  fs.writeFileSync(values.json, `${JSON.stringify([...all, ...threads, ...kernels], null, 2)}\n`);

function loadAverage(): string {
  return os.loadavg()[0]!.toFixed(1);
}
