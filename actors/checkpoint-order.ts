/** What main and the thread that makes a checkpoint in the background tell each other (structured clone). */
import type { StoreIdentity } from '../runtime/storage/store.ts';

/** The thread's `workerData`. */
export interface CheckpointOrder {
  /** Absolute path of the store. */
  readonly store: string;
  readonly identity: StoreIdentity;
  readonly maxFiles: number;
  readonly budget: number;
  readonly inlineLimit: number;
  readonly shards: number;
  readonly untilLsn: number;
  /** Only the newest one is kept, and the one before it is deleted before there is a newer one. */
  readonly isDiskFull: boolean;
}

export interface MadeCheckpoint {
  readonly kind: 'made';
  readonly lsn: number;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Records of the log that it took in since the one before. */
  readonly records: number;
  /** Of the tables in memory. */
  readonly tableBytes: number;
  /** Of tables and text vectors on the disk. */
  readonly diskBytes: number;
  /** Older ones that were found damaged and passed over. */
  readonly damaged: readonly {
    readonly sequence: number;
    readonly file: string;
    readonly offset: number;
    readonly reason: string;
  }[];
  readonly milliseconds: number;
}

export type CheckpointOutcome =
  | MadeCheckpoint
  /** The newest one is of this LSN already. */
  | { readonly kind: 'current'; readonly lsn: number }
  /** Text vectors of these files are nowhere to be read: they must be indexed again first. */
  | { readonly kind: 'text missing'; readonly files: readonly number[] }
  | { readonly kind: 'failed'; readonly reason: string };

/** Which of some inodes without a name are no more in the tables in use. */
export interface Ended {
  /** Pairs: number, generation. */
  readonly inodes: Uint32Array;
  /** The last record of a transaction, and durable; all that tell of them are before it. */
  readonly untilLsn: number;
}

/** Thread → main. */
export type CheckpointNews =
  /** `thread`: the operating system's number of it. */
  | { readonly kind: 'progress'; readonly doing: string; readonly thread: number }
  /** Asks which of these are no more; it waits for {@link Ended}. */
  | { readonly kind: 'unnamed'; readonly inodes: Uint32Array }
  | CheckpointOutcome
  /** The answer to 'settle': 0 or an errno. */
  | { readonly kind: 'settled'; readonly errno: number };

/** Main → thread. 'settle': everybody knows of the checkpoint that was made. */
export type CheckpointReply = Ended | 'settle';
