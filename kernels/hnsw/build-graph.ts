/**
 * Build step: compiles the AssemblyScript of kernels/assembly beside this file: `graph-i8.wasm` for graphs that are walked over codes,
 * `graph-f32.wasm` for those that are walked over float32. Run as
 * `node dist/kernels/hnsw/build-graph.js` after the compiler; does nothing when its outputs are newer than its sources.
 */
import { readdirSync, renameSync, statSync } from 'node:fs';
import path, { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const ROOT = new URL('../../../', import.meta.url);
const SOURCES = new URL('kernels/assembly/', ROOT);

/** By the value of the constant that tells them apart (kernels/assembly/memory.ts). */
const OUTPUTS: readonly [name: string, isQuantised: number][] = [
  ['graph-i8.wasm', 1],
  ['graph-f32.wasm', 0],
];

/** The header of kernels/assembly/layout.ts lies below the module's static data. */
const OPTIONS =
  '-O3 --noAssert --runtime stub --enable simd,threads,bulk-memory --importMemory --sharedMemory ' +
  '--initialMemory 1 --maximumMemory 65535 --memoryBase 2048';

function isBuilt(output: URL): boolean {
  const built = statSync(output, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const inputs = readdirSync(SOURCES).map((name) => new URL(name, SOURCES));
  return [...inputs, new URL(import.meta.url)].every((input) => statSync(input).mtimeMs < built);
}

async function build(output: URL, isQuantised: number): Promise<void> {
  const root = fileURLToPath(ROOT);
  const file = relative(root, fileURLToPath(output));
  const options = [...OPTIONS.split(' '), '--use', `IS_QUANTISED=${isQuantised}`];
  const args = ['kernels/assembly/graph.ts', ...options, '-o', `${file}.tmp`];
  const { error, stderr } = await asc.main([...args, '--baseDir', root]);
  process.stderr.write(stderr.toString());
  if (error) throw error;
  renameSync(`${fileURLToPath(output)}.tmp`, output);
  const { size } = statSync(output);
  process.stdout.write(`${path.basename(file)}: ${(size / 1024).toFixed(0)} KiB\n`);
}

for (const [name, isQuantised] of OUTPUTS) {
  const output = new URL(name, import.meta.url);
  if (!isBuilt(output)) await build(output, isQuantised);
}
