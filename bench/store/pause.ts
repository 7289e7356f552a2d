/** What a checkpoint costs those who change files meanwhile: the longest call, with one being written and without. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { run } from '../fuse/mounts.ts';
import { CLI } from '../fuse/peers/peer.ts';
import type { Effort, Part, Sample } from '../runtime/measure.ts';
import { makeTree } from './tree.ts';
import { mountStore } from './workspace.ts';

const SIZES = [10_000, 100_000];
const TARGET_MS = 10;
const WITH = 'with a checkpoint';
const WITHOUT = 'without';
/** So long at least, that there is something to compare. */
const LEAST_MS = 300;
const CHECKPOINT_TIMEOUT_MS = 120_000;
const THREAD = new URL('./pause-thread.js', import.meta.url);

const rowName = (files: number): string => `longest chmod, ${files.toLocaleString('en')} files`;

/** The longest call until `during` is over, milliseconds. */
async function longestCall(file: string, during: () => Promise<unknown>): Promise<number> {
  const control = new Int32Array(new SharedArrayBuffer(4));
  const thread = new Worker(THREAD, { workerData: { file, control } });
  const longest = new Promise<number>((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
  });
  await Promise.all([during(), delay(LEAST_MS)]);
  Atomics.store(control, 0, 1);
  return longest;
}

/** Throws the reason when the store writes none while it is mounted. */
async function checkpoint(directory: string): Promise<void> {
  const args = [CLI, 'console', directory, '-c', 'checkpoint'];
  const refused = await run(process.execPath, args, CHECKPOINT_TIMEOUT_MS);
  if (refused !== undefined) throw new Error(refused.split('\n')[0]);
}

export async function pause(effort: Effort, workspace: string): Promise<Part> {
  const sizes = effort.quick ? [1_000] : SIZES;
  const samples: Sample[] = [];
  for (const files of sizes) {
    const home = path.join(workspace, `files-${files}`);
    fs.mkdirSync(home);
    const server = await mountStore(home, ['index.enabled=false']);
    try {
      makeTree(server.directory, files);
      const file = path.join(server.directory, 'd0', '0');
      const row = rowName(files);
      for (let round = 0; round < effort.rounds; round++) {
        // Something that a checkpoint has to take in.
        fs.writeFileSync(path.join(server.directory, `round-${round}`), 'a');
        const ours = await longestCall(file, () => checkpoint(server.directory));
        samples.push({ round, row, peer: WITH, value: ours });
        samples.push({ round, row, peer: WITHOUT, value: await longestCall(file, async () => undefined) });
      }
    } finally {
      await server.stop();
      fs.rmSync(home, { recursive: true });
    }
    effort.say(`pause with ${files} files`);
  }
  return {
    name: 'pause',
    rows: sizes.map((files) => ({
      name: rowName(files),
      unit: 'ms',
      subject: WITH,
      peers: [WITH, WITHOUT],
      most: TARGET_MS,
    })),
    notes: [
      'One thread changes the mode of one file without end; the longest of its calls while `vexfs console -c checkpoint` runs, and in a time without. The start of that command takes its share of the CPUs.',
    ],
    samples,
  };
}
