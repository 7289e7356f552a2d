/**
 * One of the concurrent writers: a thread that, when told, opens what it writes to, waits for the others, and makes one
 * transaction after the other durable until it is told to stop. All calls block, as those of an ordinary program do.
 *
 * Words of `control`: 0 counts who is ready, 1 is the state (0 wait, 1 go, 2 stop).
 */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';

export const WAIT = 0;
export const GO = 1;
export const STOP = 2;

/** What one transaction is. */
export type Work = 'overwrite' | 'patch' | 'append' | 'save' | 'sqlite';

export interface Job {
  readonly work: Work;
  readonly directory: string;
  readonly writer: number;
  /** Bytes of a transaction. */
  readonly bytes: number;
}

/** better-sqlite3, as far as it is used: it is installed when the benchmark runs (peers/package.json). */
type OpenDatabase = new (
  file: string,
  options: { timeout: number },
) => {
  pragma(text: string): unknown;
  exec(text: string): unknown;
  prepare(text: string): { run(...values: readonly unknown[]): unknown };
  close(): unknown;
};

/** One transaction, and the end. */
interface Writer {
  step(round: number): void;
  close(): void;
}

/** Records of a file that is overwritten in place. */
const SLOTS = 16;
const PATCHED_BYTES = 1024 * 1024;
/** An appended file begins anew at this size, so that a fast filesystem does not fill the disk. */
const APPEND_MAX = 16 * 1024 * 1024;
const BUSY_TIMEOUT_MS = 60_000;

function overwrite({ directory, writer, bytes }: Job): Writer {
  const file = fs.openSync(path.join(directory, `overwrite-${writer}.bin`), 'w');
  const record = Buffer.alloc(bytes, writer + 1);
  for (let slot = 0; slot < SLOTS; slot++) fs.writeSync(file, record, 0, bytes, slot * bytes);
  fs.fsyncSync(file);
  return {
    step(round) {
      record.writeUInt32LE(round, 0);
      fs.writeSync(file, record, 0, bytes, (round % SLOTS) * bytes);
      fs.fsyncSync(file);
    },
    close: () => fs.closeSync(file),
  };
}

/** Records anywhere in a file that lives in an object. */
function patch({ directory, writer, bytes }: Job): Writer {
  const file = fs.openSync(path.join(directory, `patch-${writer}.bin`), 'w');
  const record = Buffer.alloc(bytes, writer + 1);
  fs.writeSync(file, Buffer.alloc(PATCHED_BYTES));
  fs.fsyncSync(file);
  const records = Math.floor(PATCHED_BYTES / bytes);
  return {
    step(round) {
      record.writeUInt32LE(round, 0);
      fs.writeSync(file, record, 0, bytes, ((round * 7919) % records) * bytes);
      fs.fsyncSync(file);
    },
    close: () => fs.closeSync(file),
  };
}

/** Grown over what may lie in a log or in memory before: what is measured is a file of its own. */
function append({ directory, writer, bytes }: Job): Writer {
  const file = fs.openSync(path.join(directory, `append-${writer}.bin`), 'w');
  const record = Buffer.alloc(bytes, writer + 1);
  const start = 128 * 1024;
  fs.writeSync(file, Buffer.alloc(start));
  fs.fsyncSync(file);
  const records = Math.floor((APPEND_MAX - start) / bytes);
  return {
    step(round) {
      record.writeUInt32LE(round, 0);
      fs.writeSync(file, record, 0, bytes, start + (round % records) * bytes);
      fs.fsyncSync(file);
    },
    close: () => fs.closeSync(file),
  };
}

/** As editors save: a new file, fsync, rename over the old one, fsync of the directory. */
function save({ directory, writer, bytes }: Job): Writer {
  const folder = path.join(directory, `save-${writer}`);
  fs.mkdirSync(folder, { recursive: true });
  const names = fs.openSync(folder, 'r');
  const record = Buffer.alloc(bytes, writer + 1);
  const [from, to] = [path.join(folder, 'new'), path.join(folder, 'saved')];
  return {
    step(round) {
      record.writeUInt32LE(round, 0);
      const file = fs.openSync(from, 'w');
      fs.writeSync(file, record, 0, bytes, 0);
      fs.fsyncSync(file);
      fs.closeSync(file);
      fs.renameSync(from, to);
      fs.fsyncSync(names);
    },
    close: () => fs.closeSync(names),
  };
}

function sqlite({ directory, writer, bytes }: Job): Writer {
  const { peers } = workerData as { peers: string };
  const Database = createRequire(path.join(peers, 'package.json'))('better-sqlite3') as OpenDatabase;
  const database = new Database(path.join(directory, 'rows.db'), { timeout: BUSY_TIMEOUT_MS });
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.exec('CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY, data BLOB)');
  const put = database.prepare('INSERT OR REPLACE INTO records (id, data) VALUES (?, ?)');
  const record = Buffer.alloc(bytes, writer + 1);
  return {
    step(round) {
      record.writeUInt32LE(round, 0);
      put.run(writer * SLOTS + (round % SLOTS), record);
    },
    close: () => void database.close(),
  };
}

const WORKS: Readonly<Record<Work, (job: Job) => Writer>> = { overwrite, patch, append, save, sqlite };

function run(job: Job, control: Int32Array): number {
  const writer = WORKS[job.work](job);
  Atomics.add(control, 0, 1);
  Atomics.notify(control, 0);
  while (Atomics.load(control, 1) === WAIT) Atomics.wait(control, 1, WAIT);
  let round = 0;
  while (Atomics.load(control, 1) === GO) writer.step(round++);
  writer.close();
  return round;
}

parentPort?.on('message', (job: Job) => {
  const { control } = workerData as { control: Int32Array };
  try {
    parentPort!.postMessage({ transactions: run(job, control) });
  } catch (error) {
    Atomics.add(control, 0, 1);
    Atomics.notify(control, 0);
    parentPort!.postMessage({ failed: error instanceof Error ? error.message : String(error) });
  }
});
