/**
 * The text vectors that belong to a new checkpoint, from those of the checkpoint before it and the log since then. Blocks
 * of which everything is still of use are carried over as they are: compressed.
 *
 * The log is read twice: first, while the tables are replayed, it is noted from where on the log has all of a file's
 * text; then what is still of use is copied. So no vector is held in memory, only words for each file.
 */
import { IndexState, type Namespace, type ReplayObserver } from '../../fuse/namespace/namespace.ts';
import { INDEXED, INDEXED_BYTES } from '../../fuse/namespace/records.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { ChunkBatch } from '../chunk-batch.ts';
import { readAllSegments, SegmentWriter } from '../text-segment.ts';
import type { SegmentBlockTable } from '../text-segment-block.ts';
import { shardOf } from '../topology.ts';
import { replayLog } from './log-recovery.ts';

/** Not the file's text: a part of it was missing. */
const BROKEN = 0xffff_ffff;

export interface CarryOptions {
  readonly disk: Disk;
  readonly uuid: Uint8Array;
  /** LSNs of the checkpoint before (0 = none) and of the new one. */
  readonly from: number;
  readonly to: number;
  /** Segments to write. */
  readonly shards: number;
  /** As of the new checkpoint. */
  readonly namespace: Namespace;
}

export class TextCarry {
  readonly #batch = new ChunkBatch();
  readonly #state = new IndexState();
  /** Of files that the log since the checkpoint replaces: number of the record that begins their text. */
  readonly #beginnings = new Map<number, number>();
  #records = 0;

  /** For the first reading. */
  readonly observer: ReplayObserver = {
    indexed: (ino, _generation, _version, u8, start, end) => {
      const record = this.#records++;
      const isBeginning =
        start === end || (this.#batch.read(u8, start, end - start) && this.#batch.firstChunk === 0);
      if (isBeginning) this.#beginnings.set(ino, record);
    },
  };

  /**
   * Writes the segments. Returns the files whose text should be there and is not; then the segments must not be used. Or
   * −errno.
   */
  write(options: CarryOptions): number[] | number {
    const { disk, uuid, from, to, shards, namespace } = options;
    const text = new Texts(namespace.inodesEnd);
    const writers = Array.from({ length: shards }, (_, shard) => new SegmentWriter(disk, to, shard, shards));
    const copy = (ino: number, generation: number, u8: Uint8Array, offset: number, length: number): void => {
      if (!this.#exists(namespace, ino, generation) || !this.#batch.read(u8, offset, length)) return;
      const { version, firstChunk, count } = this.#batch;
      text.add(ino, version, firstChunk, count);
      writers[shardOf(ino, shards)]!.add(ino, generation, u8.subarray(offset, offset + length));
    };
    if (from > 0) {
      readAllSegments(
        disk,
        from,
        (ino, generation, u8, offset, length) => {
          if (!this.#beginnings.has(ino)) copy(ino, generation, u8, offset, length);
        },
        (table, u8, start, end, crc) => {
          const shard = this.#wholeFor(table, namespace, shards);
          if (shard < 0) return false;
          text.addAll(table);
          writers[shard]!.addBlock(u8, start, end, crc);
          return true;
        },
      );
    }
    this.#readLog(disk, uuid, from, to, copy);
    const failed = writers.map((writer) => writer.finish()).find((errno) => errno !== 0);
    return failed ?? this.#missing(namespace, text);
  }

  /** The shard that all of a block belongs to, if all of it is of use and it is not one of many small ones; −1. */
  #wholeFor(table: SegmentBlockTable, namespace: Namespace, shards: number): number {
    if (!table.isHalfFull) return -1;
    const shard = shardOf(table.ino(0), shards);
    for (let i = 0; i < table.batches; i++) {
      const ino = table.ino(i);
      if (shardOf(ino, shards) !== shard || this.#beginnings.has(ino)) return -1;
      if (!this.#exists(namespace, ino, table.generation(i))) return -1;
    }
    return shard;
  }

  /** The second reading. */
  #readLog(
    disk: Disk,
    uuid: Uint8Array,
    from: number,
    to: number,
    copy: (ino: number, generation: number, u8: Uint8Array, offset: number, length: number) => void,
  ): void {
    if (this.#records === 0) return;
    let record = 0;
    replayLog(
      disk,
      uuid,
      from,
      (type, u8, u32, _f64, offset, length) => {
        if (type !== INDEXED) return;
        const ino = u32[(offset >> 2) + 3]!;
        const isOfUse = record++ >= (this.#beginnings.get(ino) ?? 0) && length > INDEXED_BYTES;
        if (isOfUse) copy(ino, u32[(offset >> 2) + 4]!, u8, offset + INDEXED_BYTES, length - INDEXED_BYTES);
      },
      to,
    );
  }

  #exists(namespace: Namespace, ino: number, generation: number): boolean {
    return namespace.indexState(ino, this.#state) === 0 && this.#state.generation === generation;
  }

  #missing(namespace: Namespace, text: Texts): number[] {
    const missing: number[] = [];
    const state = this.#state;
    for (let ino = 1; ino < namespace.inodesEnd; ino++) {
      if (namespace.indexState(ino, state) < 0) continue;
      const isIndexed = state.indexedVersion === state.version && state.chunks > 0;
      if (isIndexed && !text.has(ino, state.version, state.chunks)) missing.push(ino);
    }
    return missing;
  }
}

/** Which version of each file's text was copied, and how much of it. */
class Texts {
  readonly #versions: Uint32Array;
  readonly #chunks: Uint32Array;

  constructor(inodes: number) {
    this.#versions = new Uint32Array(inodes);
    this.#chunks = new Uint32Array(inodes);
  }

  addAll(table: SegmentBlockTable): void {
    for (let i = 0; i < table.batches; i++) {
      this.add(table.ino(i), table.version(i), table.firstChunk(i), table.count(i));
    }
  }

  add(ino: number, version: number, firstChunk: number, count: number): void {
    const isContinued = this.#versions[ino] === version && this.#chunks[ino] === firstChunk;
    this.#chunks[ino] = firstChunk === 0 ? count : isContinued ? firstChunk + count : BROKEN;
    this.#versions[ino] = version;
  }

  has(ino: number, version: number, chunks: number): boolean {
    return this.#versions[ino] === version && this.#chunks[ino] === chunks;
  }
}
