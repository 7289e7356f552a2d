/**
 * Build step: compiles the AssemblyScript of kernels/assembly beside this file: `graph-i8.wasm` for graphs that are walked over codes,
 * `graph-f32.wasm` for those that are walked over float32. Run as
 * `node dist/kernels/hnsw/build-graph.js` after the compiler; does nothing when its outputs are newer than its sources.
 */
import { appendFileSync, readdirSync, renameSync, statSync } from 'node:fs';
import path, { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { LAYOUT, LAYOUT_SECTION } from './graph-module.ts';

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

/** A custom section, as WebAssembly writes it: kind 0, its length, the length of its name, the name, what is in it. */
function section(name: string, content: string): Buffer {
  const named = Buffer.concat([leb128(name.length), Buffer.from(name), Buffer.from(content)]);
  return Buffer.concat([Buffer.of(0), leb128(named.length), named]);
}

function leb128(value: number): Buffer {
  const bytes: number[] = [];
  for (; value >= 0x80; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return Buffer.of(...bytes, value);
}

async function build(output: URL, isQuantised: number): Promise<void> {
  const root = fileURLToPath(ROOT);
  const file = relative(root, fileURLToPath(output));
  const options = [...OPTIONS.split(' '), '--use', `IS_QUANTISED=${isQuantised}`];
  const args = ['kernels/assembly/graph.ts', ...options, '-o', `${file}.tmp`];
  const { error, stderr } = await asc.main([...args, '--baseDir', root]);
  process.stderr.write(stderr.toString());
  if (error) throw error;
  appendFileSync(`${fileURLToPath(output)}.tmp`, section(LAYOUT_SECTION, LAYOUT));
  renameSync(`${fileURLToPath(output)}.tmp`, output);
  const { size } = statSync(output);
  process.stdout.write(`${path.basename(file)}: ${(size / 1024).toFixed(0)} KiB\n`);
}

for (const [name, isQuantised] of OUTPUTS) {
  const output = new URL(name, import.meta.url);
  if (!isBuilt(output)) await build(output, isQuantised);
}
