/**
 * A program that keeps a mount busy with names, data, fsyncs and searches until it is ended: `node load.js DIRECTORY PROGRESS [FOLDER]`.
 * A search may fail, when whoever is to answer it is restarted; nothing else may.
 *
 * How far it is stands in the file PROGRESS: a pipe that nobody reads for a while would keep it from going on.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const FILES = 100;
const [directory = '.', progress = 'progress', name = 'load'] = process.argv.slice(2);
const folder = join(directory, name);
mkdirSync(folder, { recursive: true });
const told = openSync(progress, 'w');

function search(question: string): void {
  try {
    readdirSync(join(directory, '.vexfs/search', question));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
  }
}

for (let n = 0; ; n++) {
  const path = join(folder, `${n % FILES}.txt`);
  const file = openSync(`${path}.new`, 'w');
  writeSync(file, `Note ${n}: how to bake bread, and where the keys are. `.repeat(10));
  if (n % 5 === 0) fsyncSync(file);
  closeSync(file);
  renameSync(`${path}.new`, path);
  statSync(path);
  readFileSync(path);
  if (n % FILES === FILES - 1) unlinkSync(path);
  if (n % 50 === 0) search(`bread ${n}`);
  if (n % 100 === 99) writeSync(told, String(n + 1), 0);
}
