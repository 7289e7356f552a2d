/** `npm run bench:shards`: see docs/PERFORMANCE.md. */
import fs from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { GraphFile } from '../../actors/graph-file.ts';
import { aloneWithGraphs } from '../../kernels/hnsw/graph-access.ts';
import { SharedGraph } from '../../kernels/hnsw/shared-graph.ts';
import { COLLECTION, optionsFor, ShardThreads } from './shard-threads.ts';
import { makeVectors } from './vectors.ts';

const USAGE = `npm run bench:shards -- [options]
  --n N          vectors (200000)
  --dim N        their dimension (128)
  --shards N     threads (2)
  --json FILE    also write all figures there
  --quick        3,000 vectors: shows that everything runs, measures nothing`;

const { values } = parseArgs({
  options: {
    n: { type: 'string', default: '200000' },
    dim: { type: 'string', default: '128' },
    shards: { type: 'string', default: '2' },
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
const figures: Record<string, unknown> = { n, dimension, shards };

function note(name: string, value: unknown): void {
  figures[name] = value;
  console.log(`${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}`);
}

const vectors = makeVectors(n, dimension, 1);
const queries = makeVectors(1000, dimension, 1, n);
const root = fs.mkdtempSync(join(tmpdir(), 'vexfs-bench-shards-'));
try {
  note('loadAtBegin', loadavg()[0]!.toFixed(1));
  // All vectors are one shard's: with the others' help, and without it.
  for (const steal of [true, false]) {
    const threads = new ShardThreads(join(root, `one-${steal}`), shards, dimension, {
      steal,
      isOneOwner: true,
    });
    await threads.start();
    const share = Math.min(n, 50_000);
    const { caughtUpPerSecond } = await threads.fill(vectors, share);
    note(steal ? 'oneShardBuiltByAllPerSecond' : 'oneShardBuiltAlonePerSecond', caughtUpPerSecond);
    note(steal ? 'oneShardSearchedByAll' : 'oneShardSearchedAlone', await threads.search(queries, 8));
    await threads.end();
  }
  const threads = new ShardThreads(join(root, 'all'), shards, dimension, { steal: true, isOneOwner: false });
  await threads.start();
  note('filled', await threads.fill(vectors, n, queries));
  note('searchesAfterwards', await threads.search(queries, 8));
  note(
    'recall',
    threads.recall(vectors, n, queries.subarray(0, 50 * dimension), await threads.answers(queries, 50)),
  );
  note('bytesPerVector', threads.bytesPerVector);
  note('writtenInSeconds', await threads.save());
  await threads.end();
  note('snapshotBytes', threads.snapshotBytes);
  note('oneGraphReadInSeconds', readGraph(threads));
  const again = new ShardThreads(join(root, 'all'), shards, dimension, { steal: true, isOneOwner: false });
  await again.start();
  note('toldAgain', await again.fill(vectors, n));
  await again.end();
  note('loadAtEnd', loadavg()[0]!.toFixed(1));
} finally {
  fs.rmSync(root, { recursive: true });
}
if (values.json !== undefined) fs.writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);

/** The first shard's graph from a warm disk into memory, verified: as the shard does it when it hears of the first vector. */
function readGraph({ disk }: ShardThreads): number {
  const started = performance.now();
  const file = GraphFile.open(disk, 0, COLLECTION);
  if (file === undefined) throw new Error('no graph was kept');
  const graph = new SharedGraph(optionsFor(dimension), aloneWithGraphs());
  if (!graph.restore(file.description, (part) => file.read(part)))
    throw new Error('the graph cannot be used');
  file.close();
  return Math.round(performance.now() - started) / 1000;
}
