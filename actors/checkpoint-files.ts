/**
 * The files of a checkpoint as they lie in the store, for all who read them: `checkpoint/NNNNNNNN/` has a manifest
 * (checkpoint-manifest.ts) and a file for each part. What the bytes mean is not known here.
 */
import { crc32c } from '../kernels/codec/crc32c.ts';
import type { Disk } from '../runtime/storage/disk.ts';
import { expandBlock } from '../runtime/storage/zstd-block.ts';
import {
  BLOCK_BYTES,
  blockLength,
  decodeManifest,
  type Manifest,
  type StoredBlock,
} from './checkpoint-manifest.ts';
import type { Damage } from './log-files.ts';

export const CHECKPOINT_DIRECTORY = 'checkpoint';

/** Memory for the part of this name, undefined = there is none. */
export type RegionOf = (name: string) => Uint8Array | undefined;

/** Reads all parts into their regions, which have room for them. What is wrong is damage, and zeroes are left. */
export type ReadCheckpoint = (
  disk: Disk,
  sequence: number,
  manifest: Manifest,
  regionOf: RegionOf,
) => Damage | undefined;

export function checkpointPath(sequence: number): string {
  return `${CHECKPOINT_DIRECTORY}/${String(sequence).padStart(8, '0')}`;
}

/** Numbers of the complete checkpoints, ascending, or −errno. */
export function listCheckpoints(disk: Disk): number[] | number {
  const names = disk.list(CHECKPOINT_DIRECTORY);
  if (typeof names === 'number') return names;
  return names.filter((name) => /^\d{8}$/.test(name)).map(Number);
}

/** Reads and checks the manifest of a checkpoint. */
export function readManifest(disk: Disk, sequence: number, uuid: string): Manifest | Damage {
  const file = `${checkpointPath(sequence)}/manifest.json`;
  const status = disk.stat(file);
  if (typeof status === 'number') return { file, offset: 0, reason: `cannot be read (errno ${-status})` };
  const bytes = new Uint8Array(status.bytes);
  const got = readFile(disk, file, bytes);
  if (got < 0) return { file, offset: 0, reason: `cannot be read (errno ${-got})` };
  const manifest = decodeManifest(bytes.subarray(0, got));
  if (typeof manifest === 'string') return { file, offset: 0, reason: manifest };
  if (manifest.uuid !== uuid) return { file, offset: 0, reason: 'belongs to another store' };
  return manifest;
}

function readFile(disk: Disk, path: string, target: Uint8Array): number {
  const descriptor = disk.open(path, 'read');
  if (descriptor < 0) return descriptor;
  const got = disk.pread(descriptor, target, 0, target.length, 0);
  disk.close(descriptor);
  return got;
}

/** The parts, one block after the other. */
export const readParts: ReadCheckpoint = (disk, sequence, manifest, regionOf) => {
  const reader = CheckpointReader.open(disk, sequence, manifest, regionOf);
  let damage = 'reason' in reader ? reader : undefined;
  if (!('reason' in reader)) {
    for (let block = 0; block < reader.blocks && damage === undefined; block++) damage = reader.read(block);
    reader.close();
  }
  if (damage !== undefined) clearParts(manifest, regionOf);
  return damage;
};

export function clearParts(manifest: Manifest, regionOf: RegionOf): void {
  for (const { name, bytes } of manifest.parts) regionOf(name)!.fill(0, 0, bytes);
}

interface PartBlock {
  readonly file: string;
  readonly descriptor: number;
  /** In the file. */
  readonly position: number;
  readonly stored: StoredBlock;
  readonly target: Uint8Array;
}

/** The blocks of all parts, numbered from 0 in the order of the manifest, each to be read for itself. */
export class CheckpointReader {
  readonly #disk: Disk;
  readonly #blocks: PartBlock[] = [];
  readonly #descriptors: number[] = [];
  readonly #frame: Uint8Array;

  /** To be closed; or why a part's file cannot be opened. */
  static open(
    disk: Disk,
    sequence: number,
    manifest: Manifest,
    regionOf: RegionOf,
  ): CheckpointReader | Damage {
    const longest = manifest.parts.reduce((most, { bytes }) => Math.max(most, bytes), 0);
    const reader = new CheckpointReader(disk, Math.min(longest, BLOCK_BYTES));
    for (const part of manifest.parts) {
      const file = `${checkpointPath(sequence)}/${part.name}`;
      const descriptor = disk.open(file, 'read');
      if (descriptor < 0) {
        reader.close();
        return { file, offset: 0, reason: `cannot be read (errno ${-descriptor})` };
      }
      reader.#descriptors.push(descriptor);
      const target = regionOf(part.name)!;
      let position = 0;
      for (const [index, stored] of part.blocks.entries()) {
        const start = index * BLOCK_BYTES;
        const memory = target.subarray(start, start + blockLength(part, index));
        reader.#blocks.push({ file, descriptor, position, stored, target: memory });
        position += stored[0];
      }
    }
    return reader;
  }

  private constructor(disk: Disk, frameBytes: number) {
    this.#disk = disk;
    this.#frame = new Uint8Array(frameBytes);
  }

  get blocks(): number {
    return this.#blocks.length;
  }

  /** Fills the block's memory and checks it. */
  read(block: number): Damage | undefined {
    const { file, descriptor, position, stored, target } = this.#blocks[block]!;
    const reason = readBlock(this.#disk, descriptor, position, stored, this.#frame, target);
    return reason === undefined ? undefined : { file, offset: position, reason };
  }

  close(): void {
    for (const descriptor of this.#descriptors) this.#disk.close(descriptor);
  }
}

/** Fills `block`; or what is wrong, in a few words. */
function readBlock(
  disk: Disk,
  descriptor: number,
  position: number,
  [bytes, crc]: StoredBlock,
  frame: Uint8Array,
  block: Uint8Array,
): string | undefined {
  if (bytes === 0) {
    // Memory that nobody has touched stays so.
    if (!isZero(block)) block.fill(0);
    return undefined;
  }
  const isPlain = bytes === block.length;
  const into = isPlain ? block : frame;
  const got = disk.pread(descriptor, into, 0, bytes, position);
  if (got < 0) return `cannot be read (errno ${-got})`;
  if (got < bytes) return `the file ends early: ${bytes - got} more bytes expected`;
  if (crc32c(into, 0, bytes) !== crc) return `bad checksum in the ${bytes} bytes from here`;
  if (isPlain || expandBlock(frame.subarray(0, bytes), block)) return undefined;
  return `the ${bytes} bytes from here do not expand to a block`;
}

const ZEROES = new Uint8Array(BLOCK_BYTES);

export function isZero(block: Uint8Array): boolean {
  return Buffer.compare(block, ZEROES.subarray(0, block.length)) === 0;
}
