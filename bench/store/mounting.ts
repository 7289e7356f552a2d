/** How long a mount takes by the size of the store: from a checkpoint, and from the log after a kill. */
import fs from 'node:fs';
import path from 'node:path';
import type { Effort, Part, Sample } from '../runtime/measure.ts';
import { FILE_BYTES, makeTree, PER_DIRECTORY } from './tree.ts';
import { mountStore } from './workspace.ts';

const SIZES = [1_000, 10_000, 100_000];

const rowName = (files: number): string => `mount with ${files.toLocaleString('en')} files`;

/** Milliseconds from the start of the command until the first answer of the mount. */
async function timeMount(home: string): Promise<number> {
  const begin = performance.now();
  const server = await mountStore(home, ['index.enabled=false']);
  fs.statSync(path.join(server.directory, 'd0'));
  const milliseconds = performance.now() - begin;
  await server.stop();
  return milliseconds;
}

export async function mounting(effort: Effort, workspace: string): Promise<Part> {
  const sizes = effort.quick ? [1_000] : SIZES;
  const samples: Sample[] = [];
  for (let round = 0; round < effort.rounds; round++) {
    for (const files of sizes) {
      const home = path.join(workspace, `round-${round}-${files}`);
      fs.mkdirSync(home);
      const server = await mountStore(home, ['index.enabled=false']);
      makeTree(server.directory, files);
      server.abort();
      await server.stop();
      const row = rowName(files);
      samples.push({ round, row, peer: 'after a kill', value: await timeMount(home) });
      samples.push({ round, row, peer: 'after an unmount', value: await timeMount(home) });
      fs.rmSync(home, { recursive: true });
    }
    effort.say(`mounting, round ${round + 1} of ${effort.rounds}`);
  }
  return {
    name: 'mounting',
    rows: sizes.map((files) => ({
      name: rowName(files),
      unit: 'ms',
      subject: 'after an unmount',
      peers: ['after an unmount', 'after a kill'],
    })),
    notes: [
      `From the start of the command until the first stat is answered, Node's own start included. Files of ${FILE_BYTES} bytes, ${PER_DIRECTORY.toLocaleString('en')} to a directory, written and fsynced; after a kill all of them are read from the log, after an unmount from the checkpoint.`,
    ],
    samples,
  };
}
