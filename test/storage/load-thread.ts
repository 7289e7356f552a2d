/** Helps to load a checkpoint, and is slower at it than whoever it helps. */
import { workerData } from 'node:worker_threads';
import { help } from '../../actors/load-blocks.ts';
import { LoadBoard } from '../../actors/load-board.ts';
import { type Disk, HostDisk } from '../../runtime/storage/disk.ts';

interface Order {
  readonly root: string;
  readonly words: SharedArrayBuffer;
  readonly buffers: Readonly<Record<string, SharedArrayBuffer>>;
  readonly sequence: number;
  readonly uuid: string;
}

/** How long it takes for each block. */
const SLOW_MS = 30;
/** Longer than a manifest, bytes. */
const SMALL = 100_000;

const { root, words, buffers, sequence, uuid } = workerData as Order;
const host = new HostDisk(root);
const started = new Int32Array(words, words.byteLength - 4);

const slow: Disk = Object.create(host, {
  pread: {
    value: (descriptor: number, u8: Uint8Array, start: number, length: number, position: number): number => {
      if (Atomics.load(started, 0) === 1)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SLOW_MS);
      // A block is taken: whoever asked can go on.
      else if (length > SMALL) {
        Atomics.store(started, 0, 1);
        Atomics.notify(started, 0);
      }
      return host.pread(descriptor, u8, start, length, position);
    },
  },
}) as Disk;
const board = new LoadBoard({ i32: new Int32Array(words, 0, words.byteLength / 4 - 1) });
while (board.sequence !== sequence) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
help(board, slow, sequence, uuid, (name) => new Uint8Array(buffers[name]!), 0);
