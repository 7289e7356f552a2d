/** How long one who creates, writes and fsyncs small files waits at most, alone and while a checkpoint is made. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
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

export async function waitsAlone(directory: string, ms: number): Promise<Waits> {
  const writer = new Writer(directory);
  for (const until = performance.now() + ms; performance.now() < until; ) {
    writer.step();
    await new Promise(setImmediate);
  }
  return writer.waits();
}

/** `vexfs checkpoint --json`, and what a writer meanwhile waits. */
export async function waitsDuringCheckpoint(
  cli: string,
  mount: string,
  directory: string,
): Promise<{ readonly waits: Waits; readonly report: Record<string, unknown> }> {
  const writer = new Writer(directory);
  const child = spawn(process.execPath, [cli, 'checkpoint', mount, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  let isOver = false;
  const ended = once(child, 'close').then(() => {
    isOver = true;
  });
  while (!isOver) {
    writer.step();
    await new Promise(setImmediate);
  }
  await ended;
  return { waits: writer.waits(), report: JSON.parse(text) as Record<string, unknown> };
}
