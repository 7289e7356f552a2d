/**
 * The manifest of a checkpoint: which parts it has and what each of their blocks must be. One JSON object whose last
 * member is the checksum of all bytes before that member.
 *
 * Format 1 (read, no longer written): `crcs` of each part, of its blocks as they are. Format 2: `blocks` of each part.
 */
import { crc32c } from '../kernels/codec/crc32c.ts';

export const FORMAT = 2;
/** Bytes of a part that are one block; the last block of a part may be shorter. */
export const BLOCK_BYTES = 1024 * 1024;

/**
 * Bytes in the part's file, one block after the other, and their CRC-32C. As many as the block has: the block itself;
 * fewer: a Zstandard frame; none: the block is all zeroes.
 */
export type StoredBlock = readonly [bytes: number, crc: number];

export interface PartEntry {
  readonly name: string;
  readonly bytes: number;
  readonly blocks: readonly StoredBlock[];
}

export interface Manifest {
  readonly format: number;
  readonly uuid: string;
  /** LSN of the last record whose effect the parts contain. */
  readonly lsn: number;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly parts: readonly PartEntry[];
}

const TAIL_BYTES = ',"crc32c":"00000000"}\n'.length;

/** Bytes that block `index` of a part has once it is expanded. */
export function blockLength({ bytes }: Pick<PartEntry, 'bytes'>, index: number): number {
  return Math.min(BLOCK_BYTES, bytes - index * BLOCK_BYTES);
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const body = JSON.stringify(manifest).slice(0, -1);
  const bytes = new TextEncoder().encode(body);
  const crc = crc32c(bytes, 0, bytes.length).toString(16).padStart(8, '0');
  return new TextEncoder().encode(`${body},"crc32c":"${crc}"}\n`);
}

/** The manifest, or what is wrong with it in a few words. */
export function decodeManifest(bytes: Uint8Array): Manifest | string {
  const tail = /^,"crc32c":"([0-9a-f]{8})"\}\n$/.exec(latin1(bytes.subarray(-TAIL_BYTES)));
  if (tail === null) return 'the checksum is missing';
  const end = bytes.length - TAIL_BYTES;
  if (Number.parseInt(tail[1]!, 16) !== crc32c(bytes, 0, end)) return 'bad checksum';
  const manifest = JSON.parse(`${new TextDecoder().decode(bytes.subarray(0, end))}}`) as Manifest;
  if (manifest.format !== 1 && manifest.format !== FORMAT)
    return `format ${manifest.format}, this program knows up to ${FORMAT}`;
  const known = manifest.format === 1 ? fromFormat1(manifest) : manifest;
  const odd = known.parts.find((part) => !isWhole(part));
  return odd === undefined ? known : `the blocks of ${odd.name} do not make ${odd.bytes} bytes`;
}

function isWhole(part: PartEntry): boolean {
  const { bytes, blocks } = part;
  if (blocks.length !== Math.ceil(bytes / BLOCK_BYTES)) return false;
  return blocks.every(([stored], index) => stored >= 0 && stored <= blockLength(part, index));
}

interface PartOfFormat1 {
  readonly name: string;
  readonly bytes: number;
  readonly crcs: readonly number[];
}

function fromFormat1(manifest: Manifest): Manifest {
  const parts = (manifest.parts as readonly unknown[] as readonly PartOfFormat1[]).map(
    ({ name, bytes, crcs }) => ({
      name,
      bytes,
      blocks: crcs.map((crc, index): StoredBlock => [blockLength({ bytes }, index), crc]),
    }),
  );
  return { ...manifest, parts };
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
