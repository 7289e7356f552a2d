/**
 * Build step: compiles kernels/assembly/exact-codec.ts to `exact-codec.wasm` beside this file. Run as
 * `node dist/kernels/codec/build-codec.js` after the compiler; does nothing when its output is newer than its sources.
 */
import { renameSync, statSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const ROOT = new URL('../../../', import.meta.url);
const SOURCE = 'kernels/assembly/exact-codec.ts';
const SOURCES = [SOURCE, 'kernels/assembly/codec-layout.ts'];
const OUTPUT = new URL('./exact-codec.wasm', import.meta.url);

/** codec-layout.ts says how much memory there is; the module has no data of its own. */
const OPTIONS = '-O3 --noAssert --runtime stub --enable bulk-memory --initialMemory 16 --maximumMemory 16';

function isBuilt(): boolean {
  const built = statSync(OUTPUT, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const inputs = SOURCES.map((name) => new URL(name, ROOT));
  return [...inputs, new URL(import.meta.url)].every((input) => statSync(input).mtimeMs < built);
}

async function build(): Promise<void> {
  const root = fileURLToPath(ROOT);
  const output = relative(root, fileURLToPath(OUTPUT));
  const { error, stderr } = await asc.main([
    SOURCE,
    ...OPTIONS.split(' '),
    '-o',
    `${output}.tmp`,
    '--baseDir',
    root,
  ]);
  process.stderr.write(stderr.toString());
  if (error) throw error;
  renameSync(`${fileURLToPath(OUTPUT)}.tmp`, OUTPUT);
}

if (!isBuilt()) await build();
