/** What a writer (crash-writer.ts) has said is durable, kept outside of the mount, and compared with what is there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { getXattr } from '../../runtime/system/xattr.ts';
import { contentOf, DIMENSION, vectorOf } from './crash-content.ts';

export class CrashRecord {
  /** Promises so far. */
  promises = 0;
  readonly directory: string;
  readonly #files = new Set<number>();
  readonly #vectors = new Set<number>();
  readonly #moved = new Set<number>();
  readonly #gone = new Set<number>();
  /** Which one each document has at the least. */
  readonly #documents = new Map<number, number>();
  #pending = '';

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Takes what the writer has written: a line without its end is no promise yet. */
  hear(text: string): void {
    const lines = (this.#pending + text).split('\n');
    this.#pending = lines.pop()!;
    for (const line of lines) this.#note(line);
  }

  #note(line: string): void {
    const [what, first, second] = line.split(' ');
    const n = Number(first);
    this.promises++;
    if (what === 'file') this.#files.add(n);
    else if (what === 'vector') this.#vectors.add(n);
    else if (what === 'moved') this.#moved.add(n);
    else if (what === 'going') this.#files.delete(n);
    else if (what === 'gone') this.#gone.add(n);
    else if (what === 'doc') this.#documents.set(n, Number(second));
    else throw new Error(`a writer said ${line}`);
  }

  verify(): void {
    const path = (name: string): string => join(this.directory, name);
    for (const i of this.#files) expectContent(path(`file-${i}`), i);
    for (const i of this.#moved) {
      expectContent(path(`moved/file-${i}`), i);
      expect(existsSync(path(`file-${i}`)), `file-${i} has two names`).toBe(false);
    }
    for (const i of this.#gone) expect(existsSync(path(`file-${i}`)), `file-${i} is gone`).toBe(false);
    for (const i of this.#vectors) {
      const bytes = new Uint8Array(DIMENSION * 4);
      expect(getXattr(path(`file-${i}`), 'user.vexfs.vector', bytes), `vector of file-${i}`).toBe(
        bytes.length,
      );
      expect(new Float32Array(bytes.buffer), `vector of file-${i}`).toEqual(vectorOf(i));
    }
    for (const [document, least] of this.#documents) {
      const bytes = readFileSync(path(`doc-${document}`));
      const i = bytes.readUInt32LE(0);
      expect(i, `doc-${document}`).toBeGreaterThanOrEqual(least);
      expectContent(path(`doc-${document}`), i);
    }
  }
}

function expectContent(path: string, i: number): void {
  expect(existsSync(path), path).toBe(true);
  expect(readFileSync(path).equals(contentOf(i)), path).toBe(true);
}
