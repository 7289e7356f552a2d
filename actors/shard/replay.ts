/**
 * How a shard that starts empty while the mount serves gets to what its predecessor held.
 *
 * Text: the segment of the last checkpoint, then what the log has since then. Whoever sends a shard something of a file's
 * text has journalled it before, so all that the predecessor ever took in is there. What the indexer sends meanwhile is
 * taken in afterwards: the last word on each file is said last.
 * Users' vectors: from the tables, by way of io-0, which alone may look at them while they are made anew.
 *
 * At the end io-0's list of all files says what the tables believe: text of files that are no more goes, and files of
 * which less is here than the tables say (a segment was missing or damaged, the log did not reach so far) are to be
 * indexed again.
 */
import type { Disk } from '../../runtime/storage/disk.ts';
import { ChunkBatch } from '../chunk-batch.ts';
import { FILE_BYTES } from '../messages.ts';
import { holders, keeps, phaseOf, SETTLED, takesPart } from '../route.ts';
import { LIST_HEADER_BYTES } from '../shard-messages.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import { readSegments } from '../text-segment.ts';
import { LogTail } from './log-tail.ts';
import type { Recent } from './recent.ts';
import type { Shard } from './shard.ts';

export interface ReplayParts {
  readonly disk: Disk;
  readonly shard: Shard;
  readonly recent: Recent;
  /** Number of this shard, and by which word its files are chosen (route.ts). */
  readonly index: number;
  readonly route: number;
  readonly uuid: Uint8Array;
  /** LSN of the checkpoint, and the one up to which the log is durable. */
  readonly checkpointLsn: number;
  readonly durableLsn: number;
}

/** What there is of a file's text. */
interface Text {
  readonly generation: number;
  readonly version: number;
  chunks: number;
}

const FILE_WORDS = FILE_BYTES / 4;

export class Replay {
  readonly #parts: ReplayParts;
  readonly #batch = new ChunkBatch();
  readonly #texts = new Map<number, Text>();
  /** From io-0: FILE_WORDS for each file that exists. */
  readonly #listed: Uint32Array[] = [];
  #isListed = false;
  #log: LogTail | undefined;
  #isRead = false;
  #hasSegment = false;

  constructor(parts: ReplayParts) {
    this.#parts = parts;
  }

  get isComplete(): boolean {
    return this.#isRead && this.#isListed;
  }

  /** Whether segment and log were all there: for the log of messages, as {@link finish} sees what is missing by itself. */
  get wasWhole(): boolean {
    return this.#log === undefined || (this.#hasSegment && this.#log.lastLsn >= this.#parts.durableLsn);
  }

  /** Some of the files that exist: the payload of REPLAY_FILES. */
  files(u32: Uint32Array, offset: number): void {
    const first = (offset + LIST_HEADER_BYTES) >> 2;
    this.#listed.push(u32.slice(first, first + u32[offset >> 2]! * FILE_WORDS));
  }

  allListed(): void {
    this.#isListed = true;
  }

  /** Reads the segment, and from then on a file of the log; false when there is nothing more to read. */
  step(): boolean {
    if (this.#isRead) return false;
    const { disk, index, route, uuid, checkpointLsn } = this.#parts;
    if (!takesPart(route, index)) this.#isRead = true;
    else if (this.#log === undefined) {
      // Of a shard that takes part in a move, no file of its own has all.
      const shards = phaseOf(route) === SETTLED ? holders(route) : 0;
      this.#hasSegment =
        checkpointLsn === 0 || readSegments(disk, checkpointLsn, index, shards, this.#put.bind(this));
      this.#log = new LogTail(disk, uuid, checkpointLsn);
    } else if (!this.#log.step(this.#indexed.bind(this))) this.#isRead = true;
    return true;
  }

  /** Drops the text of files that are not listed; returns those whose text should be here and is not, by inode. */
  finish(): number[] {
    const missing: number[] = [];
    const kept = new Set<number>();
    for (const files of this.#listed) {
      for (let at = 0; at < files.length; at += FILE_WORDS) {
        const ino = files[at]!;
        // Since it was listed.
        if (this.#parts.recent.isGone(ino, files[at + 1]!)) continue;
        const text = this.#texts.get(ino);
        if (text?.generation === files[at + 1]) kept.add(ino);
        const chunks = files[at + 3]!;
        const isHere = kept.has(ino) && text!.version === files[at + 2] && text!.chunks === chunks;
        if (chunks > 0 && !isHere) missing.push(ino);
      }
    }
    for (const [ino, { generation }] of this.#texts) {
      if (!kept.has(ino)) this.#parts.shard.remove(ino, generation, TEXT_COLLECTION);
    }
    return missing;
  }

  #indexed(ino: number, generation: number, u8: Uint8Array, offset: number, length: number): void {
    if (length > 0) this.#put(ino, generation, u8, offset, length);
    else if (this.#isOurs(ino)) this.#remove(ino, generation);
  }

  #put(ino: number, generation: number, u8: Uint8Array, offset: number, length: number): void {
    const { shard, recent } = this.#parts;
    if (!this.#isOurs(ino) || recent.isGone(ino, generation)) return;
    const batch = this.#batch;
    if (!batch.read(u8, offset, length)) return;
    const { firstChunk, count, version } = batch;
    const earlier = this.#texts.get(ino);
    if (earlier !== undefined && earlier.generation !== generation) this.#remove(ino, earlier.generation);
    if (!shard.putChunks(ino, generation, u8, offset, length)) return;
    const text = this.#texts.get(ino);
    if (firstChunk === 0) this.#texts.set(ino, { generation, version, chunks: count });
    else if (text?.version === version && text.chunks === firstChunk) text.chunks += count;
    // Without what comes before it, it is not the file's text: no number of chunks will do.
    else this.#texts.set(ino, { generation, version, chunks: Number.NaN });
  }

  #remove(ino: number, generation: number): void {
    this.#parts.shard.remove(ino, generation, TEXT_COLLECTION);
    if (this.#texts.get(ino)?.generation === generation) this.#texts.delete(ino);
  }

  #isOurs(ino: number): boolean {
    return keeps(this.#parts.route, this.#parts.index, ino);
  }
}
