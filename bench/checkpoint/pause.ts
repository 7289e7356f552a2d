/** How long one who creates, writes and fsyncs small files waits at most, alone and while a checkpoint is made. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export interface Waits {
  readonly calls: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
}

class Writer {
  readonly #directory: string;
  readonly #times: number[] = [];
  #n = 0;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory);
  }

  /** Creates and writes; every tenth time also fsyncs. */
  step(): void {
    const path = join(this.#directory, `f${this.#n++}`);
    const started = performance.now();
    const descriptor = openSync(path, 'w');
    writeSync(descriptor, 'some bytes');
    if (this.#n % 10 === 0) fsyncSync(descriptor);
    closeSync(descriptor);
    this.#times.push(performance.now() - started);
  }

  waits(): Waits {
    const times = this.#times.toSorted((a, b) => a - b);
    const at = (share: number): number =>
      times[Math.min(times.length - 1, Math.floor(share * times.length))]!;
    return { calls: times.length, p50: at(0.5), p99: at(0.99), longest: times.at(-1)! };
  }
}

/** What a writer waits while `vexfs ARGS` runs, and until `leastMs` are over; and what that printed. */
async function waitsBeside(
  cli: string,
  args: readonly string[],
  directory: string,
  leastMs: number,
): Promise<{ readonly waits: Waits; readonly text: string; readonly ms: number }> {
  const writer = new Writer(directory);
  const began = performance.now();
  const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  let isOver = false;
  const ended = once(child, 'close').then(() => {
    isOver = true;
  });
  while (!isOver || performance.now() < began + leastMs) {
    writer.step();
    await new Promise(setImmediate);
  }
  await ended;
  // the tables have room for some hundred thousand more files
  rmSync(directory, { recursive: true });
  return { waits: writer.waits(), text, ms: performance.now() - began };
}

/**
 * `vexfs checkpoint --json`, what a writer waits meanwhile, and what it waits in as long a time without one: the longest of many is longer
 * than the longest of a few. A command of the same size runs beside it there, too.
 */
export async function pauses(
  cli: string,
  mount: string,
  name: string,
): Promise<{ readonly during: Waits; readonly alone: Waits; readonly report: Record<string, unknown> }> {
  const beside = await waitsBeside(cli, ['checkpoint', mount, '--json'], join(mount, `during${name}`), 0);
  const without = await waitsBeside(cli, ['status', mount, '--json'], join(mount, `alone${name}`), beside.ms);
  return {
    during: beside.waits,
    alone: without.waits,
    report: JSON.parse(beside.text) as Record<string, unknown>,
  };
}
