/** Bytes that go to the disk for each byte that a program makes durable. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Effort, Part, Sample } from '../runtime/measure.ts';
import { bytesWritten, mountStore } from './workspace.ts';

const MIB = 1024 * 1024;

interface Load {
  readonly name: string;
  /** Makes `bytes` bytes durable in `directory`; returns how many it made. */
  readonly run: (directory: string, bytes: number) => number;
}

/** One file in pieces of `piece` bytes, with an fsync after each `perSync` of them. */
function inPieces(name: string, piece: number, perSync: number): Load {
  return {
    name,
    run(directory, bytes) {
      const file = fs.openSync(path.join(directory, `pieces-${piece}-${perSync}`), 'w');
      const data = Buffer.alloc(piece, 7);
      let done = 0;
      for (let n = 1; done < bytes; n++, done += piece) {
        fs.writeSync(file, data, 0, piece, done);
        if (n % perSync === 0) fs.fsyncSync(file);
      }
      fs.fsyncSync(file);
      fs.closeSync(file);
      return done;
    },
  };
}

const SMALL_FILE = 4096;

const smallFiles: Load = {
  name: '4 KiB files, one fsync at the end',
  run(directory, bytes) {
    const folder = path.join(directory, 'small');
    fs.mkdirSync(folder);
    const data = Buffer.alloc(SMALL_FILE, 7);
    const files = Math.ceil(bytes / SMALL_FILE);
    for (let at = 0; at < files; at++) fs.writeFileSync(path.join(folder, `${at}`), data);
    const names = fs.openSync(folder, 'r');
    fs.fsyncSync(names);
    fs.closeSync(names);
    return files * SMALL_FILE;
  },
};

const LOADS: readonly { load: Load; bytes: number }[] = [
  { load: inPieces('512 B appended, an fsync each', 512, 1), bytes: MIB },
  { load: inPieces('4 KiB appended, an fsync each', 4096, 1), bytes: 4 * MIB },
  { load: inPieces('1 MiB appended, an fsync each 16', MIB, 16), bytes: 128 * MIB },
  { load: smallFiles, bytes: 16 * MIB },
];

export async function written(effort: Effort, workspace: string): Promise<Part> {
  const samples: Sample[] = [];
  for (let round = 0; round < effort.rounds; round++) {
    const home = path.join(workspace, `round-${round}`);
    fs.mkdirSync(home);
    // Content that looks like text is read by the indexer, which writes nothing; what it journals is not the load's.
    const server = await mountStore(home, ['index.enabled=false']);
    try {
      for (const { load, bytes } of LOADS) {
        const before = bytesWritten(server.pid);
        const logical = load.run(server.directory, effort.quick ? Math.min(bytes, MIB) / 8 : bytes);
        await delay(effort.quick ? 10 : 1200);
        const value = (bytesWritten(server.pid) - before) / logical;
        samples.push({ round, row: load.name, peer: 'vexfs', value });
      }
    } finally {
      await server.stop();
      fs.rmSync(home, { recursive: true });
    }
    effort.say(`written, round ${round + 1} of ${effort.rounds}`);
  }
  return {
    name: 'bytes written',
    rows: LOADS.map(({ load }) => ({ name: load.name, unit: 'B/B', subject: 'vexfs', peers: ['vexfs'] })),
    notes: [
      'Bytes that the process caused to be written (write_bytes of /proc/PID/io, whole pages) for each byte that the program wrote, a second after the last fsync. What the host filesystem writes for its own journal is not in it.',
    ],
    samples,
  };
}
