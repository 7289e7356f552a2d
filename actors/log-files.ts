/** The log's files as they lie in the store, for all who read them: segments `log/NNNNNNNN.log`. */
import { decodeSegmentHeader, SEGMENT_HEADER, type SegmentHeader } from '../kernels/codec/log-format.ts';
import type { Disk } from '../runtime/storage/disk.ts';

export const LOG_DIRECTORY = 'log';

/** A place in the store whose bytes are not what was written there. */
export interface Damage {
  /** Path relative to the store. */
  readonly file: string;
  readonly offset: number;
  readonly reason: string;
}

export function segmentPath(sequence: number): string {
  return `${LOG_DIRECTORY}/${String(sequence).padStart(8, '0')}.log`;
}

/** Numbers of the segments on disk, ascending, or −errno. */
export function listSegments(disk: Disk): number[] | number {
  const names = disk.list(LOG_DIRECTORY);
  if (typeof names === 'number') return names;
  return names.filter((name) => /^\d{8}\.log$/.test(name)).map((name) => Number.parseInt(name, 10));
}

/** The header of a segment, or what is wrong with it. */
export function readSegmentHeader(disk: Disk, sequence: number, uuid: Uint8Array): SegmentHeader | Damage {
  const file = segmentPath(sequence);
  const bytes = new Uint8Array(SEGMENT_HEADER);
  const descriptor = disk.open(file, 'read');
  if (descriptor < 0) return { file, offset: 0, reason: `cannot be opened (errno ${-descriptor})` };
  const got = disk.pread(descriptor, bytes, 0, SEGMENT_HEADER, 0);
  disk.close(descriptor);
  if (got < 0) return { file, offset: 0, reason: `cannot be read (errno ${-got})` };
  const header = decodeSegmentHeader(bytes.subarray(0, got));
  if (typeof header === 'string') return { file, offset: 0, reason: header };
  if (header.sequence !== sequence)
    return { file, offset: 16, reason: `is segment ${header.sequence} under a wrong name` };
  if (header.uuid.some((byte, at) => byte !== uuid[at]))
    return { file, offset: 32, reason: 'belongs to another store' };
  return header;
}

/** The headers of the segments that may hold records above `afterLsn`, oldest first. */
export function neededHeaders(
  disk: Disk,
  uuid: Uint8Array,
  sequences: readonly number[],
  afterLsn: number,
): (SegmentHeader | Damage)[] {
  const headers: (SegmentHeader | Damage)[] = [];
  for (let at = sequences.length - 1; at >= 0; at--) {
    const header = readSegmentHeader(disk, sequences[at]!, uuid);
    headers.unshift(header);
    if ('firstLsn' in header && header.firstLsn <= afterLsn + 1) break;
  }
  return headers;
}

/** A whole file of the store, or −errno. In `memory`, if it fits. */
export function readWhole(
  disk: Disk,
  path: string,
  memory?: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> | number {
  const status = disk.stat(path);
  if (typeof status === 'number') return status;
  const descriptor = disk.open(path, 'read');
  if (descriptor < 0) return descriptor;
  const bytes = memory !== undefined && memory.length >= status.bytes ? memory : new Uint8Array(status.bytes);
  const got = disk.pread(descriptor, bytes, 0, status.bytes, 0);
  disk.close(descriptor);
  return got < 0 ? got : bytes.subarray(0, got);
}

/** Bytes of the log's files in which there is something that the checkpoint of this LSN does not have. */
export function logBytesAfter(disk: Disk, uuid: Uint8Array, lsn: number): number {
  const sequences = listSegments(disk);
  if (typeof sequences === 'number') return 0;
  return neededHeaders(disk, uuid, sequences, lsn).reduce((sum, header) => {
    const status = 'sequence' in header ? disk.stat(segmentPath(header.sequence)) : 0;
    return typeof status === 'number' ? sum : sum + status.bytes;
  }, 0);
}
