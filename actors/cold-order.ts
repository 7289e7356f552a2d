/** What main and the thread that looks after large files at rest tell each other (structured clone). */
import type { StoredTotals } from '../fuse/namespace/cold-files.ts';

/** The thread's `workerData`. */
export interface ColdOrder {
  /** Absolute path of the store. */
  readonly store: string;
  readonly arena: SharedArrayBuffer;
  /** Files that were not used for so long are compressed, if they have at most so many bytes. */
  readonly compress: { readonly afterSeconds: number; readonly maxBytes: number } | undefined;
  /** Of those that were not changed for so long checksums are taken; 0 = of none. */
  readonly sumAfterSeconds: number;
  /** All that have checksums are compared with them. */
  readonly scrubs: boolean;
}

/** Thread → main. */
export type ColdNews =
  /** The operating system's number of the thread. */
  | { readonly kind: 'started'; readonly thread: number }
  /** A file of this object is being made. */
  | { readonly kind: 'begun'; readonly object: number; readonly bytes: number }
  /** Its object, or that it is to stay as it is: see COMPRESSED in messages.ts. The thread waits for an answer. */
  | {
      readonly kind: 'compressed';
      readonly ino: number;
      readonly generation: number;
      readonly version: number;
      readonly from: number;
      readonly to: number;
      readonly stored: number;
      readonly bytes: number;
    }
  /** Its checksums were staged: see SUMMED in messages.ts. The thread waits for an answer. */
  | {
      readonly kind: 'summed';
      readonly ino: number;
      readonly generation: number;
      readonly version: number;
      readonly object: number;
      readonly count: number;
      readonly crc: number;
      readonly spoils: number;
    }
  /** What the file has from this position on cannot be read, or is not what its checksum says. */
  | { readonly kind: 'damaged'; readonly ino: number; readonly object: number; readonly position: number }
  /** What it is at now. */
  | { readonly kind: 'doing'; readonly doing: string }
  /** All files were looked at. */
  | { readonly kind: 'done'; readonly totals: StoredTotals }
  | { readonly kind: 'failed'; readonly errno: number };

/** Main → thread: go on. */
export type ColdReply = 'next';
