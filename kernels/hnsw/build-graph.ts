/**
 * Build step: compiles the AssemblyScript of kernels/assembly to `graph.wasm` beside this file. Run as
 * `node dist/kernels/hnsw/build-graph.js` after the compiler; does nothing when its output is newer than its sources.
 */
import { readdirSync, renameSync, statSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const ROOT = new URL('../../../', import.meta.url);
const SOURCES = new URL('kernels/assembly/', ROOT);
const OUTPUT = new URL('./graph.wasm', import.meta.url);

/** The header of kernels/assembly/layout.ts lies below the module's static data. */
const OPTIONS =
  '-O3 --noAssert --runtime stub --enable simd,threads,bulk-memory --importMemory --sharedMemory ' +
  '--initialMemory 1 --maximumMemory 65535 --memoryBase 2048';

function isBuilt(): boolean {
  const built = statSync(OUTPUT, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const inputs = readdirSync(SOURCES).map((name) => new URL(name, SOURCES));
  return [...inputs, new URL(import.meta.url)].every((input) => statSync(input).mtimeMs < built);
}

async function build(): Promise<void> {
  const root = fileURLToPath(ROOT);
  const output = relative(root, fileURLToPath(OUTPUT));
  const args = ['kernels/assembly/graph.ts', ...OPTIONS.split(' '), '-o', `${output}.tmp`];
  const { error, stderr } = await asc.main([...args, '--baseDir', root]);
  process.stderr.write(stderr.toString());
  if (error) throw error;
  renameSync(`${fileURLToPath(OUTPUT)}.tmp`, OUTPUT);
  const { size } = statSync(OUTPUT);
  process.stdout.write(`graph.wasm: ${(size / 1024).toFixed(0)} KiB\n`);
}

if (!isBuilt()) await build();
