/** Vectors: set, search; a search through the mount. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ControlClient } from '../../cli/client.ts';
import { getXattr, setXattr } from '../../runtime/system/xattr.ts';
import {
  attempt,
  type Client,
  directory,
  nearest,
  problem,
  random,
  settle,
  store,
  TRIES,
  tally,
  timed,
} from './chaos-calls.ts';

const FILES = 12;
const DIMENSION = 8;

export class VectorsClient implements Client {
  readonly #vectors = new Map<number, Float32Array>();
  #control: ControlClient | undefined;

  async prepare(): Promise<void> {
    for (let i = 0; i < FILES; i++)
      writeFileSync(this.#path(i), `passage ${i} about the sea and its ${i} ships`);
    this.#control = await ControlClient.connect(store);
  }

  async step(): Promise<void> {
    const what = random(6);
    if (what < 2) this.#set(random(FILES));
    else if (what < 5) await this.#search();
    else this.#searchThroughMount();
  }

  async verify(isRemounted: boolean): Promise<void> {
    if (isRemounted) return;
    for (const i of this.#vectors.keys()) await this.#find(i);
  }

  #path(i: number): string {
    return join(directory, `vector-${i}`);
  }

  #set(i: number): void {
    const next = Float32Array.from({ length: DIMENSION }, () => random(2000) / 1000 - 1);
    const before = this.#vectors.get(i);
    const result = timed(`set vector-${i}`, () =>
      setXattr(this.#path(i), 'user.vexfs.vector', new Uint8Array(next.buffer)),
    );
    if (result === 0) {
      this.#vectors.set(i, next);
      return;
    }
    tally.failed++;
    settle();
    const found = this.#get(i);
    const isBefore = before ? found?.every((x, n) => x === before[n]) : found === undefined;
    if (result !== -5) problem(`setting vector-${i} failed with ${result}`);
    if (!isBefore && !found?.every((x, n) => x === next[n])) problem(`vector-${i} is neither old nor new`);
    if (found) this.#vectors.set(i, found);
    else this.#vectors.delete(i);
  }

  #get(i: number): Float32Array | undefined {
    const bytes = new Uint8Array(DIMENSION * 4);
    for (let tried = 1; ; tried++) {
      const got = timed(`get vector-${i}`, () => getXattr(this.#path(i), 'user.vexfs.vector', bytes));
      if (got === bytes.length) return new Float32Array(bytes.buffer);
      if (got !== -5 || tried === TRIES) return undefined;
      settle();
    }
  }

  async #search(): Promise<void> {
    const known = [...this.#vectors.keys()];
    if (known.length > 0) await this.#find(known[random(known.length)]!);
  }

  async #find(i: number): Promise<void> {
    const vector = [...this.#vectors.get(i)!];
    const params = { collection: 'default', vector, k: 3 };
    const hits = await nearest(this.#control!, `search for vector-${i}`, params);
    const names = hits?.map(({ path }) => basename(path));
    if (names && names[0] !== `vector-${i}`) problem(`the nearest to vector-${i} is [${names}]`);
  }

  #searchThroughMount(): void {
    const path = join(directory, '..', '.vexfs', 'search', `ships at sea ${random(1000)}`);
    attempt('a search through the mount', () => {
      if (existsSync(path)) readdirSync(path);
    });
  }
}
