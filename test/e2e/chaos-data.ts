/** The bytes of files: write, truncate, fsync, read. */
import {
  closeSync,
  constants,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { attempt, type Client, directory, insist, problem, random, settle } from './chaos-calls.ts';

const O_DIRECT = 0o40000;
const FILES = 12;
const SIZE_MAX = 200_000;
const WRITE_MAX = 60_000;

/** The file as VexFS has it, past the kernel's cache. */
function readThrough(path: string): Buffer {
  return insist(`read ${path}`, () => {
    const descriptor = openSync(path, constants.O_RDONLY | O_DIRECT);
    try {
      const bytes = Buffer.alloc(SIZE_MAX + WRITE_MAX + 4096);
      let length = 0;
      for (;;) {
        const got = readSync(descriptor, bytes, length, bytes.length - length, length);
        if (got === 0) return bytes.subarray(0, length);
        length += got;
      }
    } finally {
      closeSync(descriptor);
    }
  });
}

interface DataFile {
  now: Buffer;
  /** Nothing was changed since the last fsync that succeeded. */
  isDurable: boolean;
}

export class DataClient implements Client {
  readonly #files: DataFile[] = [];

  prepare(): void {
    for (let i = 0; i < FILES; i++) {
      writeFileSync(this.#path(i), '');
      this.#files.push({ now: Buffer.alloc(0), isDurable: false });
    }
  }

  step(): void {
    const i = random(FILES);
    const file = this.#files[i]!;
    const what = random(10);
    if (what < 5) this.#write(i, file);
    else if (what < 6) this.#truncate(i, file);
    else if (what < 8) this.#sync(i, file);
    else this.#check(i, file);
  }

  verify(isRemounted: boolean): void {
    this.#files.forEach((file, i) => {
      if (!isRemounted || file.isDurable) this.#check(i, file);
    });
  }

  #path(i: number): string {
    return join(directory, `data-${i}`);
  }

  #check(i: number, { now }: DataFile): void {
    const found = readThrough(this.#path(i));
    if (found.equals(now)) return;
    const at = found.findIndex((byte, n) => byte !== now[n]);
    problem(`data-${i} has ${found.length} bytes instead of ${now.length}, and differs from byte ${at} on`);
  }

  #write(i: number, file: DataFile): void {
    const at = random(Math.min(SIZE_MAX, file.now.length + 5000));
    const bytes = Buffer.alloc(1 + random(random(4) === 0 ? WRITE_MAX : 3000), random(255) + 1);
    const next = Buffer.alloc(Math.max(file.now.length, at + bytes.length));
    file.now.copy(next);
    bytes.copy(next, at);
    this.#change(i, file, next, 'write', (descriptor) => writeSync(descriptor, bytes, 0, bytes.length, at));
  }

  #truncate(i: number, file: DataFile): void {
    const next = Buffer.alloc(random(SIZE_MAX));
    file.now.copy(next);
    this.#change(i, file, next, 'truncate', (descriptor) => ftruncateSync(descriptor, next.length));
  }

  #change(i: number, file: DataFile, next: Buffer, what: string, call: (descriptor: number) => void): void {
    const descriptor = insist(`open data-${i}`, () => openSync(this.#path(i), 'r+'));
    file.isDurable = false;
    const isDone = attempt(`${what} data-${i}`, () => call(descriptor));
    closeSync(descriptor);
    if (isDone) {
      file.now = next;
      return;
    }
    settle();
    const found = readThrough(this.#path(i));
    const isOneOf = (byte: number, n: number): boolean => byte === (file.now[n] ?? 0) || byte === next[n];
    if (![file.now.length, next.length].includes(found.length) || !found.every(isOneOf)) {
      problem(`data-${i} after a ${what} that failed is neither as before nor as after`);
    }
    file.now = Buffer.from(found);
  }

  #sync(i: number, file: DataFile): void {
    const descriptor = insist(`open data-${i}`, () => openSync(this.#path(i), 'r'));
    if (attempt(`fsync data-${i}`, () => fsyncSync(descriptor))) file.isDurable = true;
    closeSync(descriptor);
  }
}
