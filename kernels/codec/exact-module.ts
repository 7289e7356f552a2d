/** The compiled loops of the exact form (kernels/assembly/exact-codec.ts), an instance with memory of its own. */
import { readFileSync } from 'node:fs';
import { assert } from '../../runtime/assert.ts';
import { MEMORY_BYTES } from '../assembly/codec-layout.ts';

/** Documented where they are written. */
export interface ExactLoops {
  readonly memory: { readonly buffer: ArrayBuffer };
  sortOut(values: number): number;
  sortOutRepeating(vectors: number, dimension: number): number;
  endReferences(): number;
  writeCodes(values: number): number;
  fillTable(tableBits: number): void;
  readCodes(bytes: number, tableBits: number, count: number): number;
  restore(vectors: number, dimension: number, bytes: number): number;
}

/** The part of WebAssembly's JavaScript interface that is used here; TypeScript has it only together with a browser's. */
interface Engine {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

const FILE = new URL('./exact-codec.wasm', import.meta.url);

let compiled: object | undefined;

/** Undefined when it was not built: all it does can be done without, more slowly. */
export function loadExactLoops(): ExactLoops | undefined {
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly;
  if (compiled === undefined) {
    const bytes = readIfThere();
    if (bytes === undefined) return undefined;
    compiled = new Module(bytes);
  }
  const loops = new Instance(compiled, {}).exports as ExactLoops;
  assert(loops.memory.buffer.byteLength >= MEMORY_BYTES, 'the module has the memory that its layout says');
  return loops;
}

function readIfThere(): Uint8Array | undefined {
  try {
    return readFileSync(FILE);
  } catch {
    return undefined;
  }
}
