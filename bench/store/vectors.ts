/** Vectors put one at a time, each on a file of its own, with one fsync for every thousand. */
import fs from 'node:fs';
import path from 'node:path';
import { setXattr } from '../../runtime/system/xattr.ts';
import type { Effort, Part, Sample } from '../runtime/measure.ts';
import { mountStore } from './workspace.ts';

const DIMENSION = 128;
const VECTORS = 100_000;
const PER_SYNC = 1_000;
const PER_DIRECTORY = 1_000;
const TARGET = 20_000;
const ROW = `put, one by one, an fsync every ${PER_SYNC.toLocaleString('en')}`;

const fileOf = (directory: string, at: number): string =>
  path.join(directory, `d${Math.floor(at / PER_DIRECTORY)}`, `${at}`);

function makeFiles(directory: string, files: number): void {
  for (let at = 0; at < files; at++) {
    const file = fileOf(directory, at);
    if (at % PER_DIRECTORY === 0) fs.mkdirSync(path.dirname(file));
    fs.closeSync(fs.openSync(file, 'w'));
  }
}

/** Vectors a second. Values differ from round to round, so that no put is a repetition. */
function put(directory: string, files: number, round: number): number {
  const vector = new Float32Array(DIMENSION);
  const bytes = new Uint8Array(vector.buffer);
  const root = fs.openSync(directory, 'r');
  const begin = performance.now();
  for (let at = 0; at < files; at++) {
    for (let axis = 0; axis < DIMENSION; axis++) vector[axis] = Math.sin(at * 1.3 + axis * (round + 1));
    const failed = setXattr(fileOf(directory, at), 'user.vexfs.vector', bytes);
    if (failed < 0) throw new Error(`setxattr failed with errno ${-failed}`);
    if ((at + 1) % PER_SYNC === 0) fs.fsyncSync(root);
  }
  const seconds = (performance.now() - begin) / 1000;
  fs.closeSync(root);
  return files / seconds;
}

/** Each round a fresh store: replacing a vector is other work than adding one. */
export async function vectors(effort: Effort, workspace: string): Promise<Part> {
  const files = effort.quick ? 2 * PER_SYNC : VECTORS;
  const samples: Sample[] = [];
  for (let round = 0; round < effort.rounds; round++) {
    const home = path.join(workspace, `round-${round}`);
    fs.mkdirSync(home);
    const server = await mountStore(home);
    try {
      makeFiles(server.directory, files);
      samples.push({ round, row: ROW, peer: 'vexfs', value: put(server.directory, files, round) });
    } finally {
      await server.stop();
      fs.rmSync(home, { recursive: true });
    }
    effort.say(`vectors, round ${round + 1} of ${effort.rounds}: ${Math.round(samples.at(-1)!.value)}/s`);
  }
  return {
    name: 'vectors',
    rows: [{ name: ROW, unit: '/s', subject: 'vexfs', peers: ['vexfs'], least: TARGET }],
    notes: [
      `${files.toLocaleString('en')} vectors of ${DIMENSION} float32, each set with setxattr on a file of its own (the files are there already), by one thread.`,
    ],
    samples,
  };
}
