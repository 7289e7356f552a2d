/** A shard's text vectors, from the segments of a checkpoint and to its own one (text-segment.ts). */
import type { Disk } from '../../runtime/storage/disk.ts';
import { holderOf, holders } from '../route.ts';
import { readSegments, SegmentWriter, type VisitBatch } from '../text-segment.ts';
import type { Shard } from './shard.ts';

/** Visits what the shard of that number holds by the route; false when a segment is missing or damaged. */
export function loadSegment(
  disk: Disk,
  lsn: number,
  self: number,
  route: number,
  visit: VisitBatch,
): boolean {
  // LSN 0: a new store, of which nothing has been written yet.
  if (lsn === 0) return true;
  return readSegments(disk, lsn, self, holders(route), (ino, generation, u8, offset, length, position) => {
    if (holderOf(route, ino) === self) visit(ino, generation, u8, offset, length, position);
  });
}

/** 0 or −errno. */
export function saveSegment(disk: Disk, lsn: number, self: number, route: number, shard: Shard): number {
  const writer = new SegmentWriter(disk, lsn, self, holders(route));
  shard.eachTextBatch((ino, generation, batch) => {
    if (holderOf(route, ino) === self) writer.add(ino, generation, batch);
  });
  return writer.finish();
}
