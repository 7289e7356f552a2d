/** A thread that takes a kept graph from a warm disk into memory, as a shard does that hears of the first vector of its collection. */
import fs from 'node:fs';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { GraphFile, graphFilePath, PIECE_BYTES } from '../../actors/graph-file.ts';
import { crc32c } from '../../kernels/codec/crc32c.ts';
import { aloneWithGraphs } from '../../kernels/hnsw/graph-access.ts';
import { graphModule } from '../../kernels/hnsw/graph-module.ts';
import { SharedGraph } from '../../kernels/hnsw/shared-graph.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { COLLECTION, optionsFor } from './shard-threads.ts';

export interface GraphReading {
  /** Reading, verifying and making ready to be claimed, by the clock and of this thread's processor time. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Of which plain reads, and checksums; of processor time. */
  readonly readSeconds: number;
  readonly checksumSeconds: number;
  readonly vectors: number;
}

interface Task {
  readonly root: string;
  readonly shard: number;
  readonly dimension: number;
}

/** Each of the first `shards` shards reads its graph, all at the same time. */
export function readGraphs(root: string, shards: number, dimension: number): Promise<GraphReading[]> {
  return Promise.all(
    Array.from({ length: shards }, (_, shard) => {
      const worker = new Worker(new URL('./read-graph.js', import.meta.url), {
        workerData: { root, shard, dimension } satisfies Task,
      });
      return new Promise<GraphReading>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    }),
  );
}

/** Of this thread, seconds. */
function cpu(): number {
  return Number(fs.readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e9;
}

function readOne({ root, shard, dimension }: Task): GraphReading {
  const disk = new HostDisk(root);
  graphModule('i8');
  const parts = readPlainly(disk, shard);
  const started = performance.now();
  const before = cpu();
  const file = GraphFile.open(disk, { shard, collection: COLLECTION, number: 0 });
  if (file === undefined) throw new Error(`no graph of shard ${shard} was kept`);
  const graph = new SharedGraph(optionsFor(dimension), aloneWithGraphs());
  if (!graph.restore(file.description, (part) => file.read(part)))
    throw new Error('the graph cannot be used');
  file.close();
  return {
    seconds: round((performance.now() - started) / 1000),
    cpuSeconds: round(cpu() - before),
    ...parts,
    vectors: graph.owner!.nodes,
  };
}

/** Into ordinary memory and twice, so that the disk is warm. */
function readPlainly(disk: HostDisk, shard: number): { readSeconds: number; checksumSeconds: number } {
  const path = graphFilePath({ shard, collection: COLLECTION, number: 0 });
  const descriptor = disk.open(path, 'read');
  const status = disk.stat(path);
  const bytes = typeof status === 'number' ? 0 : status.bytes;
  const piece = new Uint8Array(PIECE_BYTES);
  let readSeconds = 0;
  let checksumSeconds = 0;
  for (let round = 0; round < 2; round++) {
    const before = cpu();
    for (let at = 0; at < bytes; at += PIECE_BYTES)
      disk.pread(descriptor, piece, 0, Math.min(PIECE_BYTES, bytes - at), at);
    const between = cpu();
    for (let at = 0; at < bytes; at += PIECE_BYTES) crc32c(piece, 0, Math.min(PIECE_BYTES, bytes - at));
    readSeconds = between - before;
    checksumSeconds = cpu() - between;
  }
  disk.close(descriptor);
  return { readSeconds: round(readSeconds), checksumSeconds: round(checksumSeconds) };
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

if (parentPort !== null) parentPort.postMessage(readOne(workerData as Task));
