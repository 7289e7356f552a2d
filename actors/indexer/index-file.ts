import { basename } from 'node:path';
import type { Piscina } from 'piscina';
import { IndexState, type Namespace } from '../../fuse/namespace/namespace.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import type { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { EMBEDDING_DIMENSION } from '../../kernels/text/embedder.ts';
import type { Config } from '../../runtime/config/schema.ts';
import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import { CHUNKS_PER_BATCH, encodeChunkBatch, type TextChunk } from '../chunk-batch.ts';
import { tryPutChunks, tryRemove } from '../messages.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import { shardOf } from '../topology.ts';
import type { EmbedResult, EmbedTask } from './embed-task.ts';
import type { FileContent } from './file-content.ts';
import { roomInLane } from './scatter-gather.ts';

/** Values of the inode's index status. */
export const TEXT = 1;
export const BINARY = 2;
export const TOO_LARGE = 3;
export const EXCLUDED = 4;

const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const NOTHING = new Uint8Array(0);

export type Outcome = 'indexed' | 'passed over' | 'gone' | 'changed meanwhile' | 'failed';

export interface IndexFileParts {
  readonly namespace: Namespace;
  readonly content: FileContent;
  readonly tasks: Piscina<EmbedTask, EmbedResult>;
  readonly shards: readonly Outbox[];
  readonly virtual: VirtualTree;
  readonly config: Config['index'];
}

/** Brings the index of one file up to its present content. Several may be under way at once, one per file. */
export class FileIndexer {
  readonly #parts: IndexFileParts;

  constructor(parts: IndexFileParts) {
    this.#parts = parts;
  }

  async index(ino: number): Promise<Outcome> {
    const { namespace, content, tasks, config } = this.#parts;
    const attr = new Attr();
    const state = new IndexState();
    if (namespace.indexState(ino, state) < 0 || namespace.stat(ino, attr) < 0) return 'gone';
    const path = namespace.pathOf(ino);
    if ((attr.mode & S_IFMT) !== S_IFREG || path === undefined) return 'gone';
    if (isExcluded(path, config.exclude)) return this.#passOver(ino, state, EXCLUDED);
    if (attr.size > config.max_file_size) return this.#passOver(ino, state, TOO_LARGE);
    const read = await content.read(ino, 0, config.max_file_size);
    if (!read) return 'failed';
    const task = { ...read, title: basename(path), maxChunks: config.max_chunks };
    const chunks = await tasks.run(task, { transferList: [read.bytes.buffer] });
    if (this.#hasChanged(ino, state)) return 'changed meanwhile';
    if (chunks === undefined) return this.#passOver(ino, state, BINARY);
    return this.#write(ino, state, chunks);
  }

  #hasChanged(ino: number, seen: IndexState): boolean {
    const now = new IndexState();
    if (this.#parts.namespace.indexState(ino, now) < 0) return true;
    return now.generation !== seen.generation || now.version !== seen.version;
  }

  #shard(ino: number): Outbox {
    const { shards } = this.#parts;
    return shards[shardOf(ino, shards.length)]!;
  }

  async #passOver(ino: number, state: IndexState, status: number): Promise<Outcome> {
    const { generation, version } = state;
    const written = this.#parts.namespace.setIndexed(ino, generation, version, 0, status, NOTHING, 0, 0);
    if (written < 0) return 'gone';
    while (!tryRemove(this.#shard(ino), ino, generation, TEXT_COLLECTION)) await roomInLane();
    return 'passed over';
  }

  /** Journals the vectors batch by batch; only the last one says that the file is indexed. */
  async #write(ino: number, state: IndexState, chunks: readonly TextChunk[]): Promise<Outcome> {
    const { namespace } = this.#parts;
    const { generation, version } = state;
    if (chunks.length === 0) return this.#passOver(ino, state, TEXT);
    for (let first = 0; first < chunks.length; first += CHUNKS_PER_BATCH) {
      const part = chunks.slice(first, first + CHUNKS_PER_BATCH);
      const done = first + part.length === chunks.length;
      const batch = encodeChunkBatch(version, first, part, EMBEDDING_DIMENSION);
      const asOf = done ? version : state.indexedVersion;
      const written = namespace.setIndexed(
        ino,
        generation,
        asOf,
        first + part.length,
        TEXT,
        batch,
        0,
        batch.length,
      );
      if (written < 0) return 'gone';
      while (!tryPutChunks(this.#shard(ino), ino, generation, batch)) await roomInLane();
    }
    this.#parts.virtual.searchableChanged();
    // Deleted while its vectors were on their way: the shard must not keep them.
    if (!namespace.exists(ino, generation)) {
      while (!tryRemove(this.#shard(ino), ino, generation, TEXT_COLLECTION)) await roomInLane();
    }
    return 'indexed';
  }
}

/** A rule with a slash is the beginning of a path from the root, one without is a name anywhere in it. */
export function isExcluded(path: string, rules: readonly string[]): boolean {
  const names = path.split('/');
  return rules.some((rule) =>
    rule.includes('/') ? path === `/${rule}` || path.startsWith(`/${rule}/`) : names.includes(rule),
  );
}
