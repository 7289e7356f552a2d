/** How long an fsync of a small file takes just after much was written to another, of which nobody asks that it be durable. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Effort, Part, Sample } from '../runtime/measure.ts';
import { mountStore } from './workspace.ts';

const MIB = 1024 * 1024;
const SIZES = [64, 512];
const BYTES = 512;
/** A pause in which everything becomes durable by itself. */
const REST_MS = 1500;

const fsyncRow = (mebibytes: number): string =>
  `512 B appended, fsync, after ${mebibytes} MiB written to another file`;
const writingRow = (mebibytes: number): string => `those ${mebibytes} MiB, in pieces of 1 MiB`;

/** Milliseconds of the fsync, and of writing what came before. */
function fsyncAfter(directory: string, mebibytes: number): { fsync: number; writing: number } {
  const [small, large] = [path.join(directory, 'small.log'), path.join(directory, 'large')];
  const log = fs.openSync(small, 'a');
  const file = fs.openSync(large, 'w');
  fs.fsyncSync(log);
  const piece = Buffer.alloc(MIB, 5);
  const begin = performance.now();
  for (let n = 0; n < mebibytes; n++) fs.writeSync(file, piece);
  const written = performance.now();
  fs.writeSync(log, Buffer.alloc(BYTES, 6));
  fs.fsyncSync(log);
  const end = performance.now();
  for (const descriptor of [log, file]) fs.closeSync(descriptor);
  fs.unlinkSync(large);
  return { fsync: end - written, writing: written - begin };
}

export async function beside(effort: Effort, workspace: string): Promise<Part> {
  const host = path.join(workspace, 'host');
  fs.mkdirSync(host);
  const server = await mountStore(workspace, ['index.enabled=false']);
  const sizes = effort.quick ? [1] : SIZES;
  const samples: Sample[] = [];
  try {
    for (let round = 0; round < effort.rounds; round++) {
      for (const mebibytes of sizes) {
        for (const [peer, directory] of [
          ['vexfs', server.directory],
          ['host', host],
        ] as const) {
          const { fsync, writing } = fsyncAfter(directory, mebibytes);
          samples.push({ round, row: fsyncRow(mebibytes), peer, value: fsync });
          samples.push({ round, row: writingRow(mebibytes), peer, value: writing });
          await delay(effort.quick ? 10 : REST_MS);
        }
      }
      effort.say(`beside, round ${round + 1} of ${effort.rounds}`);
    }
  } finally {
    await server.stop();
  }
  return {
    name: 'an fsync beside much else',
    rows: sizes.flatMap((mebibytes) =>
      [fsyncRow(mebibytes), writingRow(mebibytes)].map((name) => ({
        name,
        unit: 'ms' as const,
        subject: 'vexfs',
        peers: ['vexfs', 'host'],
      })),
    ),
    notes: [
      "An fsync makes everything durable that came before it, in all files (docs/SEMANTICS.md), so it waits for what the disk has not yet got of the other file. Of the host's filesystem, writing is a copy to the page cache, and an fsync waits for that one file.",
    ],
    samples,
  };
}
