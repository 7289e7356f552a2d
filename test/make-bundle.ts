/**
 * Run once before all tests: the processes and threads that tests start, as a bundle like the one that is installed. It takes half of
 * the CPU time to load that single modules take, and tests start hundreds of mounts. Made anew after the compiler.
 */
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ENTRIES, makeBundle } from '../cli/bundle.ts';
import { BUNDLE, THREAD } from './bundle.ts';

const COMPILED = new URL('../.tsbuildinfo', import.meta.url);

function written(file: URL): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

export async function setup(): Promise<void> {
  if (written(THREAD) > written(COMPILED)) return;
  const entries = { ...ENTRIES, 'daemon-process': 'test/actors/daemon-process.js' };
  await makeBundle(entries, fileURLToPath(BUNDLE));
}
