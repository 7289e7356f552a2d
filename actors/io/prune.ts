/** What a complete checkpoint makes superfluous: older checkpoints, the log before them, the text vectors of others. */
import { EIO } from '../../runtime/errno.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import type { StoreIdentity } from '../../runtime/storage/store.ts';
import { deleteSegments } from '../text-segment.ts';
import { listCheckpoints, pruneCheckpoints, readManifest } from './checkpoint.ts';
import { cutLog } from './log-recovery.ts';

/**
 * Keeps the newest checkpoints with their text vectors, and the log from the oldest of them on. 0 or −errno. Only while
 * nobody writes a checkpoint or text vectors; the log may be written.
 */
export function prune(disk: Disk, { uuid, bytes }: StoreIdentity, keep?: number): number {
  const covered = pruneCheckpoints(disk, uuid, keep);
  if (covered < 0) return covered;
  return cutLog(disk, bytes, covered) || pruneTextSegments(disk, uuid);
}

/** Deletes text vectors that belong to no checkpoint, and unfinished ones. 0 or −errno. */
export function pruneTextSegments(disk: Disk, uuid: string): number {
  const sequences = listCheckpoints(disk);
  if (typeof sequences === 'number') return sequences;
  const keep = new Set<number>();
  for (const sequence of sequences) {
    const manifest = readManifest(disk, sequence, uuid);
    // Which ones are its own cannot be said.
    if ('reason' in manifest) return -EIO;
    keep.add(manifest.lsn);
  }
  deleteSegments(disk, keep);
  return 0;
}
