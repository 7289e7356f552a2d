/** A random history of files, their vectors and their text, of shards that end and move files, and what must be found. */
import { expect } from 'vitest';
import { TEXT_COLLECTION } from '../../actors/text-collection.ts';
import { Random } from '../kernels/random.ts';
import { DIMENSION, ShardsWorld, unit } from './shards-world.ts';

export const PROBE = unit(1000);

export function distance(vector: Float32Array): number {
  let dot = 0;
  for (let i = 0; i < DIMENSION; i++) dot += vector[i]! * PROBE[i]!;
  return 1 - dot;
}

export interface HistoryOptions {
  /** Now and then there are to be another number of shards, up to this. */
  readonly shardsMost?: number;
}

interface File {
  readonly ino: number;
  readonly generation: number;
  vector: Float32Array | undefined;
  text: string | undefined;
}

/** Something that is done to a file in several steps. */
interface Change {
  readonly name: string;
  readonly file: File;
  readonly steps: Generator<void, boolean>;
  /** It is done: the model has it too. */
  readonly done: () => void;
}

/** A random history; at its end the shards hold what the model does. */
export class History {
  readonly #world: ShardsWorld;
  readonly #random: Random;
  readonly #options: HistoryOptions;
  readonly #files = new Map<string, File>();
  readonly #underWay = new Set<string>();
  /** Inodes of the files that were being indexed at some time since the last comparison. */
  readonly #indexed = new Set<number>();
  readonly #steps: Change[] = [];
  #names = 0;
  kills = 0;
  moves = 0;
  #resharding = Promise.resolve();

  constructor(world: ShardsWorld, seed: number, options: HistoryOptions = {}) {
    this.#world = world;
    this.#random = new Random(seed);
    this.#options = options;
  }

  async step(): Promise<void> {
    const random = this.#random;
    const chance = random.below(100);
    const thread = random.below(2);
    const idle = [...this.#files.keys()].filter((name) => !this.#underWay.has(name));
    const name = idle[random.below(idle.length)];
    const file = name === undefined ? undefined : this.#files.get(name)!;
    if (chance < 14) this.#create(thread);
    else if (chance < 22 && file) this.#unlink(thread, name!);
    else if (chance < 34 && file) {
      const vector = unit(random.below(1000));
      this.#begin(name!, this.#world.settingVector(thread, file.ino, vector), () => {
        file.vector = vector;
      });
      if (random.below(2) > 0) this.#continueToEnd(this.#steps.length - 1);
    } else if (chance < 38 && file?.vector) {
      this.#begin(name!, this.#world.removingVector(thread, file.ino), () => {
        file.vector = undefined;
      });
      if (random.below(2) > 0) this.#continueToEnd(this.#steps.length - 1);
    } else if (chance < 50 && file) this.#index(name!, file);
    else if (chance < 68 && this.#steps.length > 0) this.#continue(random.below(this.#steps.length));
    else if (chance < 80) this.#world.turn(random.below(this.#world.shards.length), 1 + random.below(8));
    else if (chance < 92) {
      this.#world.turnIo();
      this.#world.turnOthers();
    } else if (chance < 95) {
      this.kills++;
      void this.#world.killShard(random.below(this.#world.shards.length));
    } else if (chance < 96) {
      // As before a checkpoint at an unmount: the indexer has finished what it was at.
      this.#finish();
      await this.#world.checkpoint();
    } else if (chance < 97) await this.compare();
    else if (chance < 99 && this.#options.shardsMost) this.#reshard(this.#options.shardsMost);
    await Promise.resolve();
  }

  /** Ends what is under way, and compares. */
  async end(): Promise<void> {
    this.#finish();
    await this.#world.settleUntil(this.#resharding);
    await this.#world.settleUntil(this.#world.killShard(0));
    await this.compare();
  }

  #reshard(most: number): void {
    this.moves++;
    this.#resharding = this.#world.resharding.to(1 + this.#random.below(most));
  }

  /** By what a search finds, which everything that was sent before it belongs to; but for files that are under way. */
  async compare(): Promise<void> {
    const texts = this.#world.gather.search(TEXT_COLLECTION, PROBE, 1000, 1000);
    const vectors = this.#world.gather.search(1, PROBE, 1000, 1000);
    const found = await this.#world.settleUntil(vectors);
    await this.#world.settleUntil(texts);
    const expected = new Map<string, number>();
    const expectedTexts = new Map<string, string>();
    for (const [name, { ino, generation, vector, text }] of this.#files) {
      if (this.#underWay.has(name)) continue;
      if (vector) expected.set(`${ino}.${generation}`, distance(vector));
      if (text !== undefined) expectedTexts.set(`${ino}.${generation}`, text);
    }
    const underWay = new Set([...this.#underWay].map((name) => this.#files.get(name)!.ino));
    const sure = found.filter(({ ino }) => !underWay.has(ino));
    expect(sure.map(({ ino, generation }) => `${ino}.${generation}`).sort()).toEqual(
      [...expected.keys()].sort(),
    );
    for (const hit of sure)
      expect(hit.distance).toBeCloseTo(expected.get(`${hit.ino}.${hit.generation}`)!, 4);
    // What is sent on lies in lanes when the holders change, and searches do not wait for who holds nothing yet.
    await this.#world.settle(() => !this.#world.requests.holdsRoute);
    const held = this.#world.texts();
    for (const name of this.#underWay) {
      const file = this.#files.get(name)!;
      held.delete(`${file.ino}.${file.generation}`);
    }
    expect(new Map([...held].sort())).toEqual(new Map([...expectedTexts].sort()));
    // The tables said that it is indexed, and its vectors were not sent yet: indexing it once more does no harm.
    for (const ino of this.#world.missing.splice(0)) expect(this.#indexed).toContain(ino);
    this.#indexed.clear();
    for (const { file } of this.#steps) this.#indexed.add(file.ino);
  }

  #finish(): void {
    while (this.#steps.length > 0) this.#continue(0);
  }

  #create(thread: number): void {
    const name = `f${this.#names++}`;
    const ino = this.#world.create(thread, name);
    this.#files.set(name, {
      ino,
      generation: this.#world.generation(ino),
      vector: undefined,
      text: undefined,
    });
  }

  #unlink(thread: number, name: string): void {
    this.#world.unlink(thread, name);
    this.#files.delete(name);
  }

  #index(name: string, file: File): void {
    const { ino } = file;
    const random = this.#random;
    if (random.below(4) > 0) this.#world.write(0, ino);
    const { version } = this.#world.state(ino);
    const isText = random.below(5) > 0;
    const batches = Array.from({ length: 1 + random.below(3) }, () =>
      Array.from({ length: 1 + random.below(3) }, () => unit(random.below(1000))),
    );
    const steps = isText ? this.#world.indexing(ino, batches) : this.#world.passingOver(ino);
    this.#indexed.add(ino);
    this.#begin(name, steps, () => {
      file.text = isText ? ShardsWorld.textOf(version, batches) : undefined;
    });
  }

  #begin(name: string, steps: Generator<void, boolean>, done: () => void): void {
    this.#underWay.add(name);
    this.#steps.push({ name, file: this.#files.get(name)!, steps, done });
  }

  #continueToEnd(at: number): void {
    const change = this.#steps[at];
    while (this.#steps[at] === change) this.#continue(at);
  }

  #continue(at: number): void {
    const { name, steps, done: isDone } = this.#steps[at]!;
    const { done, value } = steps.next();
    if (!done) return;
    expect(value).toBe(true);
    this.#steps.splice(at, 1);
    this.#underWay.delete(name);
    isDone();
  }
}
