/**
 * Checkpoints: shared regions as of an LSN, in `checkpoint/NNNNNNNN/`, one file per part (checkpoint-part.ts) and
 * `manifest.json` (checkpoint-manifest.ts). What the bytes mean is not known here.
 *
 * 1. A directory without `.tmp` is complete: all its files were durable before it got its name.
 * 2. Every block of a part has its CRC-32C in the manifest, so damage has a place; the manifest has its own.
 * 3. The two newest are kept, and the log from the older one on, so that damage to the newest loses nothing. On a full disk, one.
 * 4. What was not completed is deleted as soon as it fails, else before the next one: a full disk is not kept full.
 */
import { EIO, ENOENT } from '../../runtime/errno.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import {
  CHECKPOINT_DIRECTORY,
  checkpointPath,
  listCheckpoints,
  type ReadCheckpoint,
  type RegionOf,
  readManifest,
  readParts,
} from '../checkpoint-files.ts';
import { encodeManifest, FORMAT, type Manifest, type PartEntry } from '../checkpoint-manifest.ts';
import { writePart } from './checkpoint-part.ts';
import type { Damage } from './log-recovery.ts';

export {
  CHECKPOINT_DIRECTORY,
  checkpointPath,
  listCheckpoints,
  readManifest,
} from '../checkpoint-files.ts';
export { decodeManifest, encodeManifest, type Manifest, type PartEntry } from '../checkpoint-manifest.ts';

/** So that a damaged one has another behind it. */
const CHECKPOINTS_KEPT = 2;

export interface Part {
  /** Letters, digits, '-' and '_': it becomes a file's name. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Writes a checkpoint and returns its number, or −errno; on error nothing has taken the place of an older one. */
export function writeCheckpoint(
  disk: Disk,
  options: { readonly uuid: string; readonly lsn: number; readonly created: number },
  parts: readonly Part[],
): number {
  const unfinished = removeUnfinished(disk);
  if (unfinished < 0) return unfinished;
  const names = disk.list(CHECKPOINT_DIRECTORY);
  if (typeof names === 'number') return names;
  const sequence = 1 + names.reduce((newest, name) => Math.max(newest, Number.parseInt(name, 10) || 0), 0);
  const path = checkpointPath(sequence);
  const directory = `${path}.tmp`;
  const failed =
    disk.mkdir(directory) ||
    writeParts(disk, directory, options, parts) ||
    disk.syncDirectory(directory) ||
    disk.rename(directory, path) ||
    disk.syncDirectory(CHECKPOINT_DIRECTORY);
  if (failed === 0) return sequence;
  // Whatever this returns: the failure is the first one.
  removeTree(disk, directory);
  return failed;
}

/** The parts and the manifest. 0 or −errno. */
function writeParts(
  disk: Disk,
  directory: string,
  options: { readonly uuid: string; readonly lsn: number; readonly created: number },
  parts: readonly Part[],
): number {
  const entries: PartEntry[] = [];
  for (const { name, bytes } of parts) {
    const blocks = writePart(disk, `${directory}/${name}`, bytes);
    if (typeof blocks === 'number') return blocks;
    entries.push({ name, bytes: bytes.length, blocks });
  }
  const manifest = encodeManifest({ format: FORMAT, ...options, parts: entries });
  return writeFile(disk, `${directory}/manifest.json`, manifest);
}

function writeFile(disk: Disk, path: string, bytes: Uint8Array): number {
  const descriptor = disk.open(path, 'create');
  if (descriptor < 0) return descriptor;
  const wrote = disk.pwrite(descriptor, bytes, 0, bytes.length, 0);
  const failed = Math.min(0, wrote) || disk.fdatasync(descriptor);
  disk.close(descriptor);
  return failed;
}

export interface Loaded {
  readonly sequence: number;
  readonly lsn: number;
}

export interface LoadOutcome {
  /** Undefined when there is no valid checkpoint. */
  readonly loaded: Loaded | undefined;
  /** The newer checkpoints that were passed over, and why. */
  readonly damaged: readonly { readonly sequence: number; readonly damage: Damage }[];
}

/**
 * Loads the newest valid checkpoint into the regions that `regionOf` gives. A region that is missing or too
 * small for its part is the configuration's fault, not damage: that comes back as a sentence. `read` reads the parts, and
 * leaves zeroes where it finds damage.
 */
export function loadCheckpoint(
  disk: Disk,
  uuid: string,
  regionOf: RegionOf,
  read: ReadCheckpoint = readParts,
): LoadOutcome | string {
  const sequences = listCheckpoints(disk);
  if (typeof sequences === 'number') return `${CHECKPOINT_DIRECTORY} cannot be listed (errno ${-sequences})`;
  const damaged: { sequence: number; damage: Damage }[] = [];
  for (const sequence of sequences.reverse()) {
    const manifest = readManifest(disk, sequence, uuid);
    if ('reason' in manifest) {
      damaged.push({ sequence, damage: manifest });
      continue;
    }
    const misfit = findMisfit(manifest, regionOf);
    if (misfit !== undefined) return misfit;
    const damage = read(disk, sequence, manifest, regionOf);
    if (damage === undefined) return { loaded: { sequence, lsn: manifest.lsn }, damaged };
    damaged.push({ sequence, damage });
  }
  return { loaded: undefined, damaged };
}

function findMisfit(manifest: Manifest, regionOf: RegionOf): string | undefined {
  for (const { name, bytes } of manifest.parts) {
    const room = regionOf(name)?.length ?? 0;
    if (room < bytes)
      return `the store needs ${bytes} bytes of shared memory for ${name}, ${room} are configured`;
  }
  return undefined;
}

/** LSN of the newest checkpoint, or −errno. Its parts are not looked at. */
export function newestCheckpoint(disk: Disk, uuid: string): number {
  const sequences = listCheckpoints(disk);
  if (typeof sequences === 'number') return sequences;
  const sequence = sequences.at(-1);
  const manifest = sequence === undefined ? undefined : readManifest(disk, sequence, uuid);
  return manifest === undefined || 'reason' in manifest ? -EIO : manifest.lsn;
}

/** Deletes all but the newest `keep` and returns the LSN of the oldest of these (0 if there are not so many), or −errno. */
export function pruneCheckpoints(disk: Disk, uuid: string, keep = CHECKPOINTS_KEPT): number {
  const sequences = listCheckpoints(disk);
  if (typeof sequences === 'number') return sequences;
  for (const sequence of sequences.slice(0, -keep)) {
    const failed = setAside(disk, sequence, '.tmp') || removeTree(disk, `${checkpointPath(sequence)}.tmp`);
    if (failed < 0) return failed;
  }
  if (sequences.length < keep) return 0;
  const older = readManifest(disk, sequences.at(-keep)!, uuid);
  return 'reason' in older ? -EIO : older.lsn;
}

/** Renames a checkpoint so that it is none any more: `.tmp` before deletion, `.damaged` to keep it for study. */
export function setAside(disk: Disk, sequence: number, suffix: '.tmp' | '.damaged'): number {
  const path = checkpointPath(sequence);
  return disk.rename(path, `${path}${suffix}`) || disk.syncDirectory(CHECKPOINT_DIRECTORY);
}

/** Deletes what an interrupted checkpoint left behind. 0 or −errno. */
export function removeUnfinished(disk: Disk): number {
  const names = disk.list(CHECKPOINT_DIRECTORY);
  if (typeof names === 'number') return names;
  for (const name of names) {
    if (!name.endsWith('.tmp')) continue;
    const failed = removeTree(disk, `${CHECKPOINT_DIRECTORY}/${name}`);
    if (failed < 0) return failed;
  }
  return 0;
}

function removeTree(disk: Disk, directory: string): number {
  const names = disk.list(directory);
  if (typeof names === 'number') return names === -ENOENT ? 0 : names;
  for (const name of names) {
    const failed = disk.unlink(`${directory}/${name}`);
    if (failed < 0) return failed;
  }
  return disk.rmdir(directory);
}
