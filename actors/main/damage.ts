/** What of large files has been found damaged since the mount: by reading, or by the scrub. Named once in the log, and in the status. */
import { objectPath } from '../../fuse/objects/object-path.ts';
import type { Context } from '../context.ts';

/** More are counted and not kept. */
const KEPT = 100;

export interface DamagedFile {
  readonly inode: number;
  /** Of the store, and the byte of the user's file from which on it was found. */
  readonly object: string;
  readonly position: number;
}

export interface DamageStatus {
  /** Objects that were found damaged. */
  readonly count: number;
  /** The first of them. */
  readonly files: readonly DamagedFile[];
}

export class Damage {
  readonly #context: Context;
  readonly #files: DamagedFile[] = [];
  readonly #objects = new Set<number>();

  constructor(context: Context) {
    this.#context = context;
  }

  note(inode: number, id: number, position: number): void {
    if (this.#objects.has(id)) return;
    this.#objects.add(id);
    const file = { inode, object: objectPath(id), position };
    if (this.#files.length < KEPT) this.#files.push(file);
    this.#context.logger.error(file, 'a large file is damaged: what does not agree with its checksum is EIO');
  }

  get status(): DamageStatus {
    return { count: this.#objects.size, files: this.#files };
  }
}
