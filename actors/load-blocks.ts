/** Loading a checkpoint with several threads: the sides of io-0 and of those who help (load-board.ts). */
import type { Disk } from '../runtime/storage/disk.ts';
import {
  CheckpointReader,
  clearParts,
  type ReadCheckpoint,
  type RegionOf,
  readManifest,
  readParts,
} from './checkpoint-files.ts';
import type { Context } from './context.ts';
import { blocksOf, LoadBoard } from './load-board.ts';
import type { Damage } from './log-files.ts';
import { LOAD_BOARD } from './regions.ts';

/** io-0's number on the board; a shard's is its own and this much more, and one. */
const FIRST_TAKER = 1;
/** Blocks from which on help is asked for: fewer take less than a tenth of a second. */
const BLOCKS_MIN = 64;

/** Reads the parts as io-0, with the help of those whom `ask` asks. */
export function withHelp(
  board: LoadBoard,
  ask: (sequence: number) => void,
  blocksMin = BLOCKS_MIN,
): ReadCheckpoint {
  return (disk, sequence, manifest, regionOf) => {
    const blocks = blocksOf(manifest);
    if (blocks < blocksMin || blocks > board.room || board.wasUsed)
      return readParts(disk, sequence, manifest, regionOf);
    const reader = CheckpointReader.open(disk, sequence, manifest, regionOf);
    const damage = 'reason' in reader ? reader : together(board, reader, sequence, ask);
    if (damage !== undefined) clearParts(manifest, regionOf);
    return damage;
  };
}

function together(
  board: LoadBoard,
  reader: CheckpointReader,
  sequence: number,
  ask: (sequence: number) => void,
): Damage | undefined {
  board.open(sequence);
  ask(sequence);
  readFree(board, reader, FIRST_TAKER);
  let damage: Damage | undefined;
  for (let block = 0; block < reader.blocks; block++) {
    // Read once more, it says what is wrong with it, or that nothing is any more.
    if (!board.isRight(block)) damage ??= reader.read(block);
  }
  board.close();
  reader.close();
  return damage;
}

function readFree(board: LoadBoard, reader: CheckpointReader, taker: number): void {
  for (let block = board.take(taker, reader.blocks); block >= 0; block = board.take(taker, reader.blocks)) {
    board.done(block, reader.read(block) === undefined);
  }
}

/** In a shard that is asked: reads blocks of checkpoint `sequence` until there are none left that nobody has taken. */
export function helpToLoad(context: Context, disk: Disk, sequence: number): void {
  const { arena, settings, topology, name } = context;
  const board = new LoadBoard(arena.region(LOAD_BOARD));
  const regionOf = (part: string): Uint8Array => arena.region(part).u8;
  help(board, disk, sequence, settings.identity.uuid, regionOf, topology.actor(name).index);
}

/** The same, as helper number `index` from 0 on. */
export function help(
  board: LoadBoard,
  disk: Disk,
  sequence: number,
  uuid: string,
  regionOf: RegionOf,
  index: number,
): void {
  // Too late: another may be loaded by now, by io-0 alone.
  if (board.sequence !== sequence) return;
  const manifest = readManifest(disk, sequence, uuid);
  if ('reason' in manifest) return;
  const reader = CheckpointReader.open(disk, sequence, manifest, regionOf);
  if ('reason' in reader) return;
  readFree(board, reader, FIRST_TAKER + 1 + index);
  reader.close();
}
