/** The compiled module of kernels/assembly, and one thread's hold on a graph in shared memory. */
import { readFileSync } from 'node:fs';
import { assert } from '../../runtime/assert.ts';
import { UserError } from '../../runtime/user-error.ts';
import * as layout from '../assembly/layout.ts';
import { type ElementType, type GraphMemory, headerWord } from './graph-memory.ts';

/** What the module exports; addresses are signed as WASM gives them. Documented where they are written. */
export interface GraphExports {
  attach(slot: number): void;
  begin(): void;
  end(): void;
  place(node: number, level: number): void;
  admit(node: number): void;
  insert(node: number): void;
  insertBatch(budget: number): number;
  passingAt(): number;
  setPassing(ofNodes: number): void;
  findPassing(ef: number): number;
  writePassing(count: number, k: number): number;
  rank(count: number): void;
  endEarly(nearest: number, links: number): void;
  encodeAll(): void;
  search(k: number, ef: number, considered: number): number;
  find(ef: number): number;
  scan(k: number): number;
  writeResults(count: number, k: number): number;
  hashRow(row: number, bytes: number): number;
  isSameRow(a: number, b: number, bytes: number): number;
  isWalkable(): number;
  mark(node: number): number;
  sweepBegin(): number;
  sweepNodes(first: number, count: number): number;
  sweepEnd(): number;
  sweepAbort(): void;
  replaceEntry(): number;
  nextEpoch(): number;
  free(node: number): void;
  releaseLocks(slot: number): number;
  queryAt(): number;
  resultsAt(): number;
  squaredF32(a: number, b: number, bytes: number): number;
  dotF32(a: number, b: number, bytes: number): number;
  dotI8(q: number, a: number, length: number): number;
  squaredF32To4(q: number, a: number, b: number, c: number, d: number, bytes: number, to: number): void;
  dotF32To4(q: number, a: number, b: number, c: number, d: number, bytes: number, to: number): void;
  dotI8To4(q: number, a: number, b: number, c: number, d: number, length: number, to: number): void;
  makeQueryForm(vector: number): void;
  queryFormAt(): number;
  factorOfQuery(): number;
  offsetOfQuery(): number;
}

/** Section of a compiled module that has the {@link LAYOUT} it was built with. */
export const LAYOUT_SECTION = 'vexfs layout';
/** All that this code and the module must agree on. With a module of another build threads would wait for each other for ever. */
export const LAYOUT = JSON.stringify(Object.entries(layout).sort());

const compiled = new Map<ElementType, WebAssembly.Module>();

function bytesOf(element: ElementType): Buffer<ArrayBuffer> {
  return readFileSync(new URL(`./graph-${element}.wasm`, import.meta.url));
}

/** Whether this processor and this Node.js have what the module needs: SIMD and threads. */
export function canRunGraphs(): boolean {
  return WebAssembly.validate(bytesOf('i8'));
}

/**
 * Compiled once per thread. Throws a CompileError where graphs cannot run.
 * @throws {UserError} if the module is of another build than this code.
 */
export function graphModule(element: ElementType): WebAssembly.Module {
  let module = compiled.get(element);
  if (module === undefined) {
    module = compileGraph(bytesOf(element), `graph-${element}.wasm`);
    compiled.set(element, module);
  }
  return module;
}

/** @throws {UserError} if the bytes, of the file of that name, are a module of another build than this code. */
export function compileGraph(bytes: Uint8Array<ArrayBuffer>, name: string): WebAssembly.Module {
  const module = new WebAssembly.Module(bytes);
  const [built] = WebAssembly.Module.customSections(module, LAYOUT_SECTION);
  if (built !== undefined && Buffer.from(built).toString() === LAYOUT) return module;
  throw new UserError(
    `${name} was built from other sources than the code that loads it; run "npm run build", or install vexfs again`,
  );
}

/** Binds this thread to a graph, in block `slot` (0 … SLOTS_MAX − 1), which nobody else has at that time. */
export function attachGraph(graph: GraphMemory, slot: number): GraphExports {
  assert(slot >= 0 && slot < layout.SLOTS_MAX, 'a thread has a block of its own');
  assert(graph.i32[headerWord(layout.MAGIC_WORD)] === layout.MAGIC, 'the memory holds a graph');
  const env = { memory: graph.memory };
  const element = graph.u32[headerWord(layout.CODE_BYTES)] === 0 ? 'f32' : 'i8';
  const { exports: made } = new WebAssembly.Instance(graphModule(element), { env });
  const exports = made as unknown as GraphExports;
  exports.attach(slot);
  return exports;
}

/** First word of a thread's block. */
export function threadWord({ u32 }: GraphMemory, slot: number): number {
  return (u32[headerWord(layout.THREADS)]! + slot * u32[headerWord(layout.THREAD_BYTES)]!) / 4;
}
