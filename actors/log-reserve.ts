/**
 * The reserve of the log: a file of zeros whose room is really taken of the disk, so that what has been accepted can be written when the
 * disk is full, whoever filled it. It is a segment in advance: io-0 alone makes it (io/space-watch.ts), or gives it a header and a
 * segment's name (log-writer.ts). A checkpoint that finds no other room deletes it (io/background-checkpoint.ts). Its length says what it
 * has. It need not be durable: the next mount makes it anew.
 */
import { EEXIST, EOPNOTSUPP } from '../runtime/errno.ts';
import type { Disk } from '../runtime/storage/disk.ts';
import { LOG_DIRECTORY } from './log-files.ts';

export const RESERVE_FILE = `${LOG_DIRECTORY}/reserve`;

/** What it has, bytes; 0 = there is none. */
export function reserveBytes(disk: Disk): number {
  const status = disk.stat(RESERVE_FILE);
  return typeof status === 'number' ? 0 : status.bytes;
}

/** Makes it, of `bytes`. 0, or −errno: there is none. EOPNOTSUPP: this disk reserves nothing. */
export function makeReserve(disk: Disk, bytes: number): number {
  let descriptor = disk.open(RESERVE_FILE, 'create');
  if (descriptor === -EEXIST) descriptor = disk.open(RESERVE_FILE, 'write');
  if (descriptor < 0) return descriptor;
  const failed = disk.allocate?.(descriptor, bytes) ?? -EOPNOTSUPP;
  disk.close(descriptor);
  // Some filesystems keep what they had taken when there was no more.
  if (failed < 0) disk.unlink(RESERVE_FILE);
  return failed;
}
