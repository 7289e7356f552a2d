/**
 * After a recovery: the files that the kernel wrote past us (fuse/namespace/passed.ts) are as long as their objects are, and as old.
 * From then on tables and log say what they are again, so a later recovery does not look at the objects once more: they may have
 * been changed in the usual way since, and hold bytes past the end of their files.
 */
import { type Namespace, Place } from '../../fuse/namespace/namespace.ts';
import { BYTES_CHANGED, TIME_CHANGED } from '../../fuse/namespace/passed.ts';
import { objectPath } from '../../fuse/objects/object-path.ts';
import type { Disk, OpenStatus } from '../../runtime/storage/disk.ts';

/** Before anything else is changed. How many of `inodes` were there. */
export function settleLengths(namespace: Namespace, disk: Disk, inodes: readonly number[]): number {
  const place = new Place();
  let settled = 0;
  for (const ino of inodes) {
    if (namespace.locate(ino, place) < 0) continue;
    const status = statusOf(disk, place.object);
    // Of a lost object there is nothing to be said: reading the file tells.
    const { bytes, seconds, nanoseconds } = status ?? { bytes: 0, seconds: 0, nanoseconds: 0 };
    const how = status === undefined ? 0 : BYTES_CHANGED | TIME_CHANGED;
    if (namespace.passed(ino, bytes, seconds, nanoseconds, how) === 0) settled++;
  }
  return settled;
}

function statusOf(disk: Disk, object: number): OpenStatus | undefined {
  const descriptor = disk.open(objectPath(object), 'read');
  if (descriptor < 0) return undefined;
  const status = disk.statOpen?.(descriptor);
  disk.close(descriptor);
  return typeof status === 'number' ? undefined : status;
}
