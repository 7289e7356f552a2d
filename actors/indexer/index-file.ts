import { basename } from 'node:path';
import { IndexState, type Namespace } from '../../fuse/namespace/namespace.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import type { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { EMBEDDING_DIMENSION } from '../../kernels/text/embedder.ts';
import type { Config } from '../../runtime/config/schema.ts';
import { ENOSPC, ESTALE } from '../../runtime/errno.ts';
import type { Logger } from '../../runtime/log.ts';
import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import { CHUNKS_PER_BATCH, encodeChunkBatch, type TextChunk } from '../chunk-batch.ts';
import { REMOVE_VECTORS } from '../messages.ts';
import { holderOf, otherOf, type Route } from '../route.ts';
import { tryPutChunks, tryRemove } from '../shard-messages.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import type { Outcome } from './backlog.ts';
import { type EmbedPool, SMALL_FILE_BYTES } from './embed-pool.ts';
import type { FileContent } from './file-content.ts';
import { untilSent } from './lanes.ts';
import type { Transit } from './transit.ts';
import { Turns } from './turns.ts';

/** Values of the inode's index status. */
export const TEXT = 1;
const BINARY = 2;
const TOO_LARGE = 3;
const EXCLUDED = 4;
/** It could not be embedded, and would not be the next time. */
export const FAILED = 5;

const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const NOTHING = new Uint8Array(0);

export interface IndexFileParts {
  readonly namespace: Namespace;
  readonly content: FileContent;
  readonly tasks: EmbedPool;
  readonly transit: Transit;
  readonly logger: Logger;
  /** Of all shards that there is room for. */
  readonly shards: readonly Outbox[];
  readonly route: Route;
  readonly virtual: VirtualTree;
  readonly config: Config['index'];
  /** How many files over SMALL_FILE_BYTES may be in memory. */
  readonly largeAtOnce: number;
}

/** Brings the index of one file up to its present content. Several may be under way at once, one per file. */
export class FileIndexer {
  readonly #parts: IndexFileParts;
  /** Files whose thread died, once. */
  readonly #suspects = new Set<number>();
  /** Large files have to be in memory, from when they are read to when they are embedded. */
  readonly #large: Turns;
  /** Scratch of {@link index}. */
  readonly #attr = new Attr();
  readonly #state = new IndexState();

  constructor(parts: IndexFileParts) {
    this.#parts = parts;
    this.#large = new Turns(parts.largeAtOnce);
  }

  /** What needs neither the disk nor embedding, such as a small file that is not text, is done at once. */
  index(ino: number): Outcome | Promise<Outcome> {
    const { namespace, content, config } = this.#parts;
    const [attr, state] = [this.#attr, this.#state];
    if (namespace.indexState(ino, state) < 0 || namespace.stat(ino, attr) < 0) return 'gone';
    const path = namespace.pathOf(ino);
    if ((attr.mode & S_IFMT) !== S_IFREG || path === undefined) return 'gone';
    if (isExcluded(path, config.exclude)) return this.#passOver(ino, state, EXCLUDED);
    if (attr.size > config.max_file_size) return this.#passOver(ino, state, TOO_LARGE);
    if (content.isBinary(ino, attr.size)) return this.#passOver(ino, state, BINARY);
    return this.#read(ino, { ...state }, path, attr.size);
  }

  async #read(ino: number, state: IndexState, path: string, size: number): Promise<Outcome> {
    if (size <= SMALL_FILE_BYTES) return this.#embed(ino, state, path);
    await this.#large.enter();
    try {
      if (await this.#parts.content.beginsBinary(ino, size)) return this.#passOver(ino, state, BINARY);
      return await this.#embed(ino, state, path);
    } finally {
      this.#large.leave();
    }
  }

  async #embed(ino: number, state: IndexState, path: string): Promise<Outcome> {
    const { content, tasks, config } = this.#parts;
    const read = await content.read(ino, 0, config.max_file_size);
    if (!read) return 'failed';
    const task = { ...read, title: basename(path), maxChunks: config.max_chunks };
    const embedded = await tasks.run(task);
    if (this.#hasChanged(ino, state)) return 'changed meanwhile';
    if ('failed' in embedded) return this.#fail(ino, state, path, embedded);
    this.#suspects.delete(ino);
    const { chunks } = embedded;
    if (chunks === undefined) return this.#passOver(ino, state, BINARY);
    return this.#write(ino, state, chunks);
  }

  /** A thread may die of something else than the file, once. Then the file counts as dealt with until it changes. */
  async #fail(
    ino: number,
    state: IndexState,
    path: string,
    { failed, error }: { readonly failed: string; readonly error: Error },
  ): Promise<Outcome> {
    const isFirstTime = failed === 'thread died' && !this.#suspects.delete(ino);
    this.#parts.logger.error({ err: error, path, failed }, 'a file could not be embedded');
    if (isFirstTime) {
      this.#suspects.add(ino);
      return 'changed meanwhile';
    }
    const outcome = await this.#passOver(ino, state, FAILED);
    return outcome === 'passed over' ? 'failed' : outcome;
  }

  /** First thing that a successor does: what its predecessor may have journalled and not sent is to be indexed again. */
  async takeOver(): Promise<void> {
    const { transit, namespace } = this.#parts;
    const left: { slot: number; ino: number; generation: number }[] = [];
    transit.each((slot, ino, generation) => left.push({ slot, ino, generation }));
    for (const { ino } of left) this.forget(ino);
    for (const { slot, ino, generation } of left) {
      if (!namespace.exists(ino, generation)) await this.#remove(ino, generation);
      transit.leave(slot);
    }
  }

  /** Makes the file one that has to be indexed, durably. 0 or −errno; a file that is gone needs nothing. */
  forget(ino: number): number {
    const { namespace } = this.#parts;
    const state = new IndexState();
    if (namespace.indexState(ino, state) < 0) return 0;
    const { generation, version, indexedVersion } = state;
    const earlier = (version - 1) >>> 0;
    // Another value than before in any case: who is at work on the file sees that it has to begin anew.
    const asOf = earlier === indexedVersion ? (version - 2) >>> 0 : earlier;
    const written = namespace.setIndexed(ino, generation, asOf, 0, 0, NOTHING, 0, 0);
    return written === -ESTALE ? 0 : written;
  }

  /** Whether the file's bytes changed, or what is known of its index: then somebody else is at work on it. */
  #hasChanged(ino: number, seen: IndexState): boolean {
    const now = new IndexState();
    if (this.#parts.namespace.indexState(ino, now) < 0) return true;
    const { generation, version, indexedVersion } = now;
    return (
      generation !== seen.generation || version !== seen.version || indexedVersion !== seen.indexedVersion
    );
  }

  /** As {@link remove}, if there is room in all lanes: whether there was. */
  #tryRemove(ino: number, generation: number): boolean {
    const { shards, route } = this.#parts;
    const sentBy = route.word;
    const other = otherOf(sentBy, ino);
    const isSent = tryRemove(
      shards[holderOf(sentBy, ino)]!,
      REMOVE_VECTORS,
      ino,
      generation,
      TEXT_COLLECTION,
    );
    if (!isSent) return false;
    if (other >= 0 && !tryRemove(shards[other]!, REMOVE_VECTORS, ino, generation, TEXT_COLLECTION))
      return false;
    return route.word === sentBy;
  }

  /** Sends the message to the shards that have to hear of the file by this route. */
  async #tell(route: number, ino: number, attempt: (shard: Outbox) => boolean): Promise<void> {
    const { shards } = this.#parts;
    const other = otherOf(route, ino);
    await untilSent(() => attempt(shards[holderOf(route, ino)]!));
    if (other >= 0) await untilSent(() => attempt(shards[other]!));
  }

  async #remove(ino: number, generation: number): Promise<void> {
    const { route } = this.#parts;
    let sentBy: number;
    do {
      sentBy = route.word;
      await this.#tell(sentBy, ino, (shard) =>
        tryRemove(shard, REMOVE_VECTORS, ino, generation, TEXT_COLLECTION),
      );
    } while (route.word !== sentBy);
  }

  #passOver(ino: number, state: IndexState, status: number): Outcome | Promise<Outcome> {
    const { namespace, transit } = this.#parts;
    const { generation, version } = state;
    const slot = transit.enter(ino, generation);
    const written = namespace.setIndexed(ino, generation, version, 0, status, NOTHING, 0, 0);
    if (written < 0 || this.#tryRemove(ino, generation)) {
      transit.leave(slot);
      return written < 0 ? refused(written) : 'passed over';
    }
    return this.#remove(ino, generation)
      .finally(() => transit.leave(slot))
      .then(() => 'passed over');
  }

  /** What is journalled and sent is not lost when this thread ends in between. */
  async #write(ino: number, state: IndexState, chunks: readonly TextChunk[]): Promise<Outcome> {
    if (chunks.length === 0) return this.#passOver(ino, state, TEXT);
    const { transit } = this.#parts;
    const slot = transit.enter(ino, state.generation);
    try {
      return await this.#writeBatches(ino, state, chunks);
    } finally {
      transit.leave(slot);
    }
  }

  /** Journals the vectors batch by batch; only the last one says that the file is indexed. */
  async #writeBatches(ino: number, state: IndexState, chunks: readonly TextChunk[]): Promise<Outcome> {
    const { namespace, virtual, route } = this.#parts;
    const { generation, version } = state;
    let sentBy = route.word;
    for (let first = 0; first < chunks.length; first += CHUNKS_PER_BATCH) {
      if (this.#hasChanged(ino, state)) return 'changed meanwhile';
      const batch = batchFrom(first, version, chunks);
      const end = Math.min(first + CHUNKS_PER_BATCH, chunks.length);
      const asOf = end === chunks.length ? version : state.indexedVersion;
      const written = namespace.setIndexed(ino, generation, asOf, end, TEXT, batch, 0, batch.length);
      if (written < 0) return refused(written);
      await this.#sendBatch(ino, generation, batch);
    }
    // A shard that became concerned in the midst has only what came after, and takes the file from nobody else.
    while (route.word !== sentBy) {
      sentBy = route.word;
      for (let first = 0; first < chunks.length; first += CHUNKS_PER_BATCH) {
        await this.#sendBatch(ino, generation, batchFrom(first, version, chunks));
      }
    }
    virtual.searchableChanged();
    // Deleted while its vectors were on their way: the shard must not keep them.
    if (!namespace.exists(ino, generation)) await this.#remove(ino, generation);
    return 'indexed';
  }

  #sendBatch(ino: number, generation: number, batch: Uint8Array): Promise<void> {
    return this.#tell(this.#parts.route.word, ino, (shard) =>
      tryPutChunks(shard, ino, generation, batch, 0, batch.length),
    );
  }
}

/** The batch that begins with the chunk of this number. */
function batchFrom(first: number, version: number, chunks: readonly TextChunk[]): Uint8Array {
  return encodeChunkBatch(version, first, chunks.slice(first, first + CHUNKS_PER_BATCH), EMBEDDING_DIMENSION);
}

/** Why nothing could be journalled: the file is gone, there is no room for now, or the store takes no changes. */
function refused(written: number): Outcome {
  if (written === -ENOSPC) return 'changed meanwhile';
  return written === -ESTALE ? 'gone' : 'failed';
}

/** A rule with a slash is the beginning of a path from the root, one without is a name anywhere in it. */
function isExcluded(path: string, rules: readonly string[]): boolean {
  const names = path.split('/');
  return rules.some((rule) =>
    rule.includes('/') ? path === `/${rule}` || path.startsWith(`/${rule}/`) : names.includes(rule),
  );
}
