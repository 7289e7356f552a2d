/**
 * The engines that are compared. Those that must be compiled live in a package of this folder, which the benchmark installs on
 * first use. Its prebuilt or default builds use SSE alone on x64, whatever the machine has.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import type { ElementType } from '../../kernels/hnsw/graph-memory.ts';
import { HnswlibIndex } from '../../kernels/hnsw/hnswlib-wasm.ts';
import { NativeIndex } from '../../kernels/hnsw/native.ts';
import { SearchHits, type VectorIndex } from '../../kernels/hnsw/vector-index.ts';
import { adviseHugePages } from '../../runtime/system/pages.ts';
import type { Dataset } from './data.ts';
import { K } from './data.ts';

export interface Engine {
  readonly name: string;
  readonly elementType: ElementType;
  add(label: number): void;
  /** After all are added. */
  finish(): void;
  /** Labels of what is found for question `q`. */
  search(q: number, ef: number): ArrayLike<number | bigint>;
  /** Bytes of memory per vector, when the engine says. */
  bytesPerVector(): number | undefined;
}

export const M = 16;
export const EF_CONSTRUCTION = 100;
const SEED = 1;

const PEERS = path.join(import.meta.dirname, '../../../bench/vectors/peers');
/** hnswlib once more, compiled for this machine. */
const MACHINE = path.join(PEERS, 'machine');
export const MACHINE_NAME = 'hnswlib-node -march=native';

type Make = (data: Dataset, efs: readonly number[]) => Engine;

function ours(name: string, elementType: ElementType, data: Dataset, index: VectorIndex): Engine {
  const hits = new SearchHits(K);
  return {
    name,
    elementType,
    add: (label) => index.add(label, data.vectors[label]!),
    finish() {},
    search(q, ef) {
      index.search(data.queries[q]!, K, ef, hits);
      return hits.labels.subarray(0, hits.count);
    },
    bytesPerVector: () => (index instanceof NativeIndex ? index.bytesUsed / data.vectors.length : undefined),
  };
}

function optionsFor(data: Dataset) {
  return {
    dimension: data.dimension,
    metric: 'l2',
    m: M,
    efConstruction: EF_CONSTRUCTION,
    seed: SEED,
    onRows: adviseHugePages,
  } as const;
}

function native(elementType: ElementType): Make {
  return (data) =>
    ours('native', elementType, data, NativeIndex.load()({ ...optionsFor(data), element: elementType }));
}

interface HnswlibNode {
  HierarchicalNSW: new (
    space: 'l2',
    dimension: number,
  ) => {
    initIndex(options: object): void;
    addPoint(vector: number[], label: number): void;
    setEf(ef: number): void;
    searchKnn(query: number[], k: number): { neighbors: number[] };
  };
}

/** Its interface takes arrays of numbers; those of the questions are made before they are timed. */
function hnswlibNode(module: HnswlibNode, name = 'hnswlib-node'): Make {
  return (data) => {
    const index = new module.HierarchicalNSW('l2', data.dimension);
    index.initIndex({
      maxElements: data.vectors.length,
      m: M,
      efConstruction: EF_CONSTRUCTION,
      randomSeed: SEED,
    });
    const queries = data.queries.map((query) => Array.from(query));
    return {
      name,
      elementType: 'f32',
      add: (label) => index.addPoint(Array.from(data.vectors[label]!), label),
      finish() {},
      search(q, ef) {
        index.setEf(ef);
        return index.searchKnn(queries[q]!, K).neighbors;
      },
      bytesPerVector: () => undefined,
    };
  };
}

interface UsearchIndex {
  add(key: bigint, vector: Float32Array): void;
  search(query: Float32Array, k: number, threads: number): { keys: BigUint64Array };
  save(file: string): void;
  load(file: string): void;
}

interface Usearch {
  Index: new (options: object) => UsearchIndex;
}

/** The effort of a search is fixed when an index is made, so it is saved once and loaded for each. */
function usearch(module: Usearch, elementType: ElementType): Make {
  return (data, efs) => {
    const open = (ef: number) =>
      new module.Index({
        metric: elementType === 'i8' ? 'cos' : 'l2sq',
        dimensions: data.dimension,
        quantization: elementType,
        connectivity: M,
        expansion_add: EF_CONSTRUCTION,
        expansion_search: ef,
      });
    const built = open(64);
    const loaded = new Map<number, UsearchIndex>();
    return {
      name: 'usearch',
      elementType,
      add: (label) => built.add(BigInt(label), data.vectors[label]!),
      finish() {
        const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'vexfs-bench-')), 'index');
        built.save(file);
        for (const ef of efs) {
          const index = open(ef);
          index.load(file);
          loaded.set(ef, index);
        }
        fs.rmSync(path.dirname(file), { recursive: true });
      },
      search: (q, ef) => loaded.get(ef)!.search(data.queries[q]!, K, 1).keys,
      bytesPerVector: () => undefined,
    };
  };
}

export interface Candidates {
  /** By name and element type, such as "native i8". */
  readonly makers: ReadonlyMap<string, Make>;
  /** Why what is missing is missing. */
  readonly missing: readonly string[];
}

function install(folder: string, environment: Record<string, string>, missing: string[]): void {
  if (fs.existsSync(path.join(folder, 'node_modules'))) return;
  const env = { ...process.env, ...environment };
  const { status, stderr } = spawnSync('npm', ['ci'], { cwd: folder, encoding: 'utf8', env });
  if (status !== 0)
    missing.push(`${path.basename(folder)} do not install: ${stderr.trim().split('\n').at(-1)}`);
}

/** Is meant for unit vectors, so it takes part with those alone. */
export const UNIT_ONLY = 'usearch i8';

export async function candidates(): Promise<Candidates> {
  const missing: string[] = [];
  const makers = new Map<string, Make>([
    ['native i8', native('i8')],
    ['native f32', native('f32')],
  ]);
  install(PEERS, {}, missing);
  install(MACHINE, { CXXFLAGS: '-O3 -march=native' }, missing);
  const require = createRequire(path.join(PEERS, 'package.json'));
  try {
    makers.set('hnswlib-node f32', hnswlibNode(require('hnswlib-node') as HnswlibNode));
  } catch (error) {
    missing.push(`hnswlib-node: ${(error as Error).message.split('\n')[0]}`);
  }
  try {
    const module = createRequire(path.join(MACHINE, 'package.json'))('hnswlib-node') as HnswlibNode;
    makers.set(`${MACHINE_NAME} f32`, hnswlibNode(module, MACHINE_NAME));
  } catch (error) {
    missing.push(`${MACHINE_NAME}: ${(error as Error).message.split('\n')[0]}`);
  }
  try {
    const module = require('usearch') as Usearch;
    makers.set('usearch f32', usearch(module, 'f32'));
    makers.set(UNIT_ONLY, usearch(module, 'i8'));
  } catch (error) {
    missing.push(`usearch: ${(error as Error).message.split('\n')[0]}`);
  }
  const wasm = await HnswlibIndex.load();
  makers.set('hnswlib-wasm f32', (data) => ours('hnswlib-wasm', 'f32', data, wasm(optionsFor(data))));
  makers.set('exact f32', (data) => ours('exact', 'f32', data, new ExactIndex(optionsFor(data))));
  return { makers, missing };
}
