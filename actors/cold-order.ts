/** What main and the thread that compresses cold files tell each other (structured clone). */
import type { StoredTotals } from '../fuse/namespace/cold-files.ts';

/** The thread's `workerData`. */
export interface ColdOrder {
  /** Absolute path of the store. */
  readonly store: string;
  readonly arena: SharedArrayBuffer;
  readonly afterSeconds: number;
  readonly maxBytes: number;
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
  /** All files were looked at. */
  | { readonly kind: 'done'; readonly totals: StoredTotals }
  | { readonly kind: 'failed'; readonly errno: number };

/** Main → thread: go on. */
export type ColdReply = 'next';
