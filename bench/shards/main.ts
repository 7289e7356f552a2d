/** `npm run bench:shards`: see docs/PERFORMANCE.md. */
import fs from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readGraphs } from './read-graph.ts';
import { type Filling, ShardThreads } from './shard-threads.ts';
import { caughtUpTarget, printTargets, readTarget, type Target } from './targets.ts';
import { makeVectors } from './vectors.ts';

const USAGE = `npm run bench:shards -- [options]
  --n N          vectors (200000)
  --dim N        their dimension (128)
  --shards N     threads (2)
  --batch        only a batch of 10,000 vectors after N others: until it is in the graphs
  --snapshot     only what keeping graphs takes, and reading them again
  --json FILE    also write all figures there
  --quick        3,000 vectors: shows that everything runs, measures nothing`;

const { values } = parseArgs({
  options: {
    n: { type: 'string', default: '200000' },
    dim: { type: 'string', default: '128' },
    shards: { type: 'string', default: '2' },
    batch: { type: 'boolean', default: false },
    snapshot: { type: 'boolean', default: false },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const n = values.quick ? 3000 : Number(values.n);
const dimension = Number(values.dim);
const shards = Number(values.shards);
const batch = values.quick ? 1000 : 10_000;
/** Rounds of a batch, each in new threads. */
const ROUNDS = 3;
/** What the target for reading is said of. */
const MILLION = 1_000_000;
const figures: Record<string, unknown> = { n, dimension, shards };
const targets: Target[] = [];

function note(name: string, value: unknown): void {
  figures[name] = value;
  console.log(`${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}`);
}

const vectors = makeVectors(n + batch, dimension, 1);
const queries = makeVectors(1000, dimension, 1, n);
const root = fs.mkdtempSync(join(tmpdir(), 'vexfs-bench-shards-'));
try {
  note('loadAtBegin', loadavg()[0]!.toFixed(1));
  const isAll = !values.batch && !values.snapshot;
  if (isAll) await oneOwner();
  if (isAll || values.batch) await batches();
  if (isAll || values.snapshot) await fillAndKeep(isAll);
  note('loadAtEnd', loadavg()[0]!.toFixed(1));
} finally {
  fs.rmSync(root, { recursive: true });
}
printTargets(targets);
figures.targets = targets;
if (values.json !== undefined) fs.writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);

async function withThreads(
  name: string,
  options: { steal: boolean; isOneOwner: boolean },
  work: (threads: ShardThreads) => Promise<void>,
): Promise<ShardThreads> {
  const threads = new ShardThreads(join(root, name), shards, dimension, options);
  await threads.start();
  await work(threads);
  await threads.end();
  return threads;
}

/** All vectors are one shard's: with the others' help, and without it. */
async function oneOwner(): Promise<void> {
  for (const steal of [true, false]) {
    await withThreads(`one-${steal}`, { steal, isOneOwner: true }, async (threads) => {
      note(
        steal ? 'oneShardBuiltByAll' : 'oneShardBuiltAlone',
        await threads.fill(vectors, Math.min(n, 50_000)),
      );
      note(steal ? 'oneShardSearchedByAll' : 'oneShardSearchedAlone', await threads.search(queries, 8));
    });
  }
}

/** A first batch, which makes the graphs, and one that comes after it. Threads are new each time, and warm for the second. */
async function batches(): Promise<void> {
  const rounds: Filling[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await withThreads(`batch-${round}`, { steal: true, isOneOwner: false }, async (threads) => {
      const before = values.batch ? n : batch;
      note(`batchOf${before}`, await threads.fill(vectors, before));
      const after = await threads.fill(vectors, before + batch, undefined, before);
      note(`batchOf${batch}After${before}`, after);
      rounds.push(after);
    });
  }
  targets.push(caughtUpTarget(batch, dimension, shards, rounds));
}

async function fillAndKeep(isAll: boolean): Promise<void> {
  const options = { steal: true, isOneOwner: false };
  const kept = await withThreads('all', options, async (threads) => {
    note('filled', await threads.fill(vectors, n, isAll ? queries : undefined));
    if (isAll) {
      note('searchesAfterwardsOneByOne', await threads.search(queries, 1));
      note('searchesAfterwards', await threads.search(queries, 8));
      const asked = queries.subarray(0, 50 * dimension);
      note('recall', threads.recall(vectors, n, asked, await threads.answers(queries, 50)));
    }
    note('bytesPerVector', threads.bytesPerVector);
    note('writtenInSeconds', await threads.save());
  });
  note('snapshotBytes', kept.snapshotBytes);
  const readings = await readGraphs(join(root, 'all'), shards, dimension);
  for (const reading of readings) note('graphRead', reading);
  const ofAMillion = (of: 'seconds' | 'cpuSeconds'): number =>
    round((Math.max(...readings.map((reading) => reading[of] / reading.vectors)) * MILLION) / shards);
  targets.push(readTarget(dimension, ofAMillion('seconds'), ofAMillion('cpuSeconds')));
  await withThreads('all', options, async (threads) => {
    note('toldAgain', await threads.fill(vectors, n));
  });
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
