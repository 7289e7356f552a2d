/**
 * Many vectors at once, while actors fail: each burst gives hundreds of files new ones. What was acknowledged is found by the
 * next search, each by its own vector, and in the end there are as many as were acknowledged.
 */
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlClient } from '../../cli/client.ts';
import { EIO } from '../../runtime/errno.ts';
import { setXattr } from '../../runtime/system/xattr.ts';
import {
  type Client,
  directory,
  insist,
  nearest,
  problem,
  random,
  reportNowAndThen,
  settle,
  store,
  TRIES,
  tally,
  timed,
} from './chaos-calls.ts';

/** Fewer than one search may return: so one search can count them. */
const FILES = 900;
const BURST = 300;
const ALL = 1000;
const COLLECTION = 'bulk';
const ATTRIBUTE = `user.vexfs.vector.${COLLECTION}`;
const DIMENSION = 16;
/** Searches after a burst, beside the one for what was set last. */
const LOOKS = 4;
/** Between two bursts: the log is replayed whenever the tables are made anew, and is to stay short enough for that. */
const PAUSE_MS = 300;
/** Of a vector with itself, but for rounding; no two random ones come near it. */
const SAME = 0.9999;

export class BulkClient implements Client {
  /** What was acknowledged last, by number of the file. */
  readonly #vectors = new Map<number, Float32Array>();
  #control: ControlClient | undefined;
  /** Nothing was set since the last fsync that succeeded. */
  #isDurable = false;

  async prepare(): Promise<void> {
    for (let i = 0; i < FILES; i++) writeFileSync(this.#path(i), '');
    this.#control = await ControlClient.connect(store);
  }

  async step(): Promise<void> {
    const first = random(FILES);
    this.#isDurable = false;
    for (let i = 0; i < BURST; i++) {
      this.#set((first + i) % FILES);
      reportNowAndThen();
    }
    await this.#find((first + BURST - 1) % FILES);
    for (let look = 0; look < LOOKS; look++) await this.#find((first + random(BURST)) % FILES);
    if (random(4) === 0) this.#sync();
    await sleep(PAUSE_MS);
  }

  async verify(isRemounted: boolean): Promise<void> {
    if (!isRemounted) this.#sync();
    else if (this.#isDurable) this.#control = await ControlClient.connect(store);
    else return;
    await this.#count();
    for (const i of this.#vectors.keys()) {
      await this.#find(i);
      reportNowAndThen();
    }
  }

  #path(i: number): string {
    return join(directory, `bulk-${i}`);
  }

  /** Until it is acknowledged: one that failed may have happened or not, but once more it has. */
  #set(i: number): void {
    const next = Float32Array.from({ length: DIMENSION }, () => random(2000) / 1000 - 1);
    for (let tried = 1; ; tried++) {
      const result = timed(`set bulk-${i}`, () =>
        setXattr(this.#path(i), ATTRIBUTE, new Uint8Array(next.buffer)),
      );
      if (result === 0) {
        this.#vectors.set(i, next);
        return;
      }
      if (result !== -EIO || tried === TRIES) {
        problem(`setting bulk-${i} failed with ${result}`);
        return;
      }
      tally.failed++;
      settle();
    }
  }

  #sync(): void {
    const descriptor = insist('open bulk-0', () => openSync(this.#path(0), 'r'));
    insist('fsync bulk-0', () => fsyncSync(descriptor));
    closeSync(descriptor);
    this.#isDurable = true;
  }

  async #find(i: number): Promise<void> {
    const vector = this.#vectors.get(i);
    if (vector === undefined) return;
    const hits = await this.#search(`search for bulk-${i}`, vector, 3);
    const [first] = hits ?? [];
    if (hits === undefined || (first && basename(first.path) === `bulk-${i}` && first.score >= SAME)) return;
    problem(`the nearest to bulk-${i} is [${hits.map(({ path, score }) => `${basename(path)} ${score}`)}]`);
  }

  /** All that one search can find. */
  async #count(): Promise<void> {
    const [any] = this.#vectors.values();
    if (any === undefined) return;
    const hits = await this.#search('search for every vector', any, ALL);
    if (hits === undefined) return;
    const found = new Set(hits.map(({ path }) => basename(path)));
    const missing = [...this.#vectors.keys()].map((i) => `bulk-${i}`).filter((name) => !found.has(name));
    if (missing.length > 0 || found.size !== this.#vectors.size) {
      const which = missing.slice(0, 10).join(', ');
      problem(`${found.size} vectors are found of ${this.#vectors.size}; not ${missing.length}: ${which}`);
    }
  }

  #search(what: string, vector: Float32Array, k: number) {
    return nearest(this.#control!, what, { collection: COLLECTION, vector: [...vector], k });
  }
}
