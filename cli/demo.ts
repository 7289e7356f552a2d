/**
 * `npm start`: mounts ./store at ./mnt, fills it with the sample documents the first time, shows two searches by
 * meaning and stays until Ctrl-C; with --once it unmounts and ends by itself.
 */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { version } from '../actors/version.ts';
import { UserError } from '../runtime/user-error.ts';
import { ControlClient } from './client.ts';
import { loadDaemon } from './daemon.ts';
import { serveInForeground } from './foreground.ts';
import { awaitIndex } from './index.ts';
import { printHits } from './results.ts';
import { outliveReaders, plural, print, say, style } from './terminal.ts';

const STORE = resolve('store');
const DIRECTORY = resolve('mnt');
const SAMPLES = fileURLToPath(new URL('../../docs/samples', import.meta.url));
const QUERIES = ['replacing a secret that has leaked', 'what to cook when it is cold outside'];
const INDEX_TIMEOUT_S = 60;

async function sampleFiles(): Promise<string[]> {
  const entries = await readdir(SAMPLES, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(SAMPLES, join(entry.parentPath, entry.name)))
    .toSorted();
}

/** How many files were copied: none if the mount has files already. */
async function fill(): Promise<number> {
  if ((await readdir(DIRECTORY)).length > 0) return 0;
  const files = await sampleFiles();
  for (const file of files) {
    const target = join(DIRECTORY, file);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(join(SAMPLES, file), target);
  }
  return files.length;
}

async function waitForIndex(client: ControlClient): Promise<void> {
  const started = performance.now();
  const status = await awaitIndex(client, INDEX_TIMEOUT_S);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  print(`  indexed    ${plural(status.chunks, 'passage')} of text (waited ${seconds} s)`);
}

async function show(client: ControlClient): Promise<void> {
  for (const query of QUERIES) {
    print(`\n${style('bold', `$ npx vexfs search "${query}"`)}`);
    const hits = await client.call('search', { query, k: 3 });
    printHits(hits, { directory: DIRECTORY, query, nothing: 'nothing found' });
  }
}

const NEXT = `
Try in another terminal, in this directory:
  npx vexfs search how do I get a better night of sleep
  ls -l "mnt/.vexfs/search/keeping plants healthy/"
  cp ~/Documents/*.md mnt/ && npx vexfs index wait
  npx vexfs similar mnt/garden/tomatoes.md
  npx vexfs status`;

async function demonstrate(): Promise<void> {
  print(`${style('bold', `VexFS ${version()}`)}`);
  print(`  mounted    ./store at ./mnt`);
  const copied = await fill();
  if (copied > 0) print(`  copied     ${plural(copied, 'sample document')} into ./mnt`);
  const client = await ControlClient.connect(STORE);
  try {
    await waitForIndex(client);
    await show(client);
  } finally {
    client.close();
  }
}

async function main(once: boolean): Promise<number> {
  if (!existsSync(DIRECTORY)) await mkdir(DIRECTORY);
  let failure: unknown;
  const code = await serveInForeground(
    {
      store: STORE,
      directory: DIRECTORY,
      options: [],
      set: [],
      whenReady: async (stop, signal) => {
        try {
          await demonstrate();
        } catch (error) {
          // Ctrl-C in the middle: the mount went away under the demonstration, as was asked.
          if (signal.aborted) return;
          failure = error;
        }
        if (once || failure !== undefined) {
          await stop();
        } else if (!signal.aborted) {
          print(NEXT);
          print('\nCtrl-C unmounts.');
        }
      },
    },
    await loadDaemon(),
  );
  if (failure !== undefined) throw failure;
  if (once) print('\nunmounted');
  return code;
}

outliveReaders();
try {
  process.exitCode = await main(process.argv.includes('--once'));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
