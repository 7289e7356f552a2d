/**
 * Mistakes that a store may make with its disk, put between a store that is right and the disk it writes to. A
 * simulation that does not find each of them is worth nothing.
 */

import {
  decodeSegmentHeader,
  SEGMENT_HEADER,
  sealRecord,
  segmentSalt,
} from '../../kernels/codec/log-format.ts';
import { ENOSPC } from '../../runtime/errno.ts';
import type { Disk, DiskSpace, FileStatus } from '../../runtime/storage/disk.ts';
import {
  LENGTH_AT,
  LSN_AT,
  RECORD_HEADER,
  recordBytes,
  UNSYNCED_AT,
} from '../../runtime/storage/record-header.ts';
import type { SimulatedDisk } from './disk.ts';
import type { Step } from './operations.ts';
import type { Bug } from './simulation.ts';

/** Passes every call on; the mistakes are made by what is overridden. */
class Passing implements Disk {
  readonly disk: Disk;
  /** Path of each descriptor. */
  readonly paths = new Map<number, string>();

  constructor(disk: Disk) {
    this.disk = disk;
  }

  open(path: string, mode: 'read' | 'write' | 'create'): number {
    const descriptor = this.disk.open(path, mode);
    if (descriptor >= 0) this.paths.set(descriptor, path);
    return descriptor;
  }
  close(descriptor: number): void {
    this.disk.close(descriptor);
  }
  pread(descriptor: number, u8: Uint8Array, start: number, length: number, position: number): number {
    return this.disk.pread(descriptor, u8, start, length, position);
  }
  pwrite(descriptor: number, u8: Uint8Array, start: number, length: number, position: number): number {
    return this.disk.pwrite(descriptor, u8, start, length, position);
  }
  writev(descriptor: number, parts: readonly Uint8Array[], position: number): number {
    return this.disk.writev(descriptor, parts, position);
  }
  truncate(descriptor: number, bytes: number): number {
    return this.disk.truncate(descriptor, bytes);
  }
  allocate(descriptor: number, bytes: number): number {
    return this.disk.allocate?.(descriptor, bytes) ?? 0;
  }
  startWriting(descriptor: number, start: number, length: number): number {
    return this.disk.startWriting?.(descriptor, start, length) ?? 0;
  }
  fdatasync(descriptor: number): number {
    return this.disk.fdatasync(descriptor);
  }
  list(path: string): string[] | number {
    return this.disk.list(path);
  }
  stat(path: string): FileStatus | number {
    return this.disk.stat(path);
  }
  mkdir(path: string): number {
    return this.disk.mkdir(path);
  }
  rmdir(path: string): number {
    return this.disk.rmdir(path);
  }
  rename(from: string, to: string): number {
    return this.disk.rename(from, to);
  }
  unlink(path: string): number {
    return this.disk.unlink(path);
  }
  syncDirectory(path: string): number {
    return this.disk.syncDirectory(path);
  }
  syncAll(): number {
    return this.disk.syncAll();
  }
  space(): DiskSpace | number {
    return this.disk.space();
  }
}

/** An fsync of files under `folder` is forgotten. */
class ForgottenSync extends Passing {
  readonly #folder: string;

  constructor(disk: Disk, folder: string) {
    super(disk);
    this.#folder = folder;
  }

  override fdatasync(descriptor: number): number {
    return this.paths.get(descriptor)!.startsWith(this.#folder) ? 0 : super.fdatasync(descriptor);
  }
}

/** The names in directories that begin like `folder` are not synced. */
class ForgottenNames extends Passing {
  readonly #folder: RegExp;

  constructor(disk: Disk, folder: RegExp) {
    super(disk);
    this.#folder = folder;
  }

  override syncDirectory(path: string): number {
    return this.#folder.test(path) ? 0 : super.syncDirectory(path);
  }
}

/** Objects are made durable after the log, not before it. */
class LateObjects extends Passing {
  readonly #late = new Set<string>();

  override fdatasync(descriptor: number): number {
    const path = this.paths.get(descriptor)!;
    if (path.startsWith('objects/')) {
      this.#late.add(path);
      return 0;
    }
    const done = super.fdatasync(descriptor);
    if (!path.startsWith('log/')) return done;
    for (const object of this.#late) {
      const late = this.disk.open(object, 'write');
      if (late < 0) continue;
      this.disk.fdatasync(late);
      this.disk.close(late);
    }
    this.#late.clear();
    return done;
  }
}

/** A checkpoint gets its name before what is in it is durable. */
class EarlyName extends ForgottenSync {
  constructor(disk: Disk) {
    super(disk, 'checkpoint/');
  }

  override rename(from: string, to: string): number {
    const done = super.rename(from, to);
    if (to.startsWith('checkpoint/') && !to.includes('.')) super.syncDirectory('checkpoint');
    return done;
  }
}

/** What is behind the end of the log is left there. */
class UncutTail extends Passing {
  override truncate(descriptor: number, bytes: number): number {
    return this.paths.get(descriptor)!.startsWith('log/') ? 0 : super.truncate(descriptor, bytes);
  }
}

/** Checksums of log records are not looked at: whatever follows with the right number counts. */
class UncheckedRecords extends Passing {
  override pread(
    descriptor: number,
    u8: Uint8Array,
    start: number,
    length: number,
    position: number,
  ): number {
    const got = super.pread(descriptor, u8, start, length, position);
    const isSegment = this.paths.get(descriptor)!.startsWith('log/') && length > SEGMENT_HEADER;
    if (isSegment && start === 0 && position === 0) believe(u8.subarray(0, got));
    return got;
  }
}

/** Gives each record of a segment the checksum that its bytes should have. */
function believe(bytes: Uint8Array): void {
  const header = decodeSegmentHeader(bytes);
  if (typeof header === 'string') return;
  const { buffer, byteOffset, byteLength } = bytes;
  const u32 = new Uint32Array(buffer, byteOffset, byteLength >>> 2);
  const f64 = new Float64Array(buffer, byteOffset, byteLength >>> 3);
  const salt = segmentSalt(header.uuid, header.sequence);
  let lsn = header.firstLsn;
  for (let at = SEGMENT_HEADER; at + RECORD_HEADER <= bytes.length; lsn++) {
    const length = recordBytes(u32[(at + LENGTH_AT) >> 2]!);
    if (f64[(at + LSN_AT) >> 3] !== lsn || at + length > bytes.length) return;
    const unsynced = u32[(at + UNSYNCED_AT) >> 2]!;
    sealRecord(bytes, u32, f64, at, length, lsn - unsynced, salt);
    at += length;
  }
}

/** A log that is cut behind a checkpoint which is not durable yet. */
class EarlyCut extends Passing {
  override mkdir(path: string): number {
    if (path.startsWith('checkpoint/')) {
      const segments = this.disk.list('log') as string[];
      for (const name of segments.slice(0, -1)) this.disk.unlink(`log/${name}`);
    }
    return super.mkdir(path);
  }
}

/** A recovery syncs nothing but the log. */
class ForgottenRecovery extends Passing {
  override syncAll(): number {
    return 0;
  }
}

/** What had no room in the log is written again, a little further on. */
class MisplacedRetry extends Passing {
  #isRetry = false;

  override writev(descriptor: number, parts: readonly Uint8Array[], position: number): number {
    const wrote = super.writev(descriptor, parts, this.#isRetry ? position + 8 : position);
    this.#isRetry = wrote === -ENOSPC;
    return wrote;
  }
}

/** A disk that was full once says so for ever. */
class EverFull extends Passing {
  #wasFull = false;

  override space(): DiskSpace | number {
    const space = super.space();
    if (typeof space === 'number') return space;
    this.#wasFull ||= space.freeBytes < 2 ** 20;
    return this.#wasFull ? { ...space, freeBytes: 0 } : space;
  }
}

/** The reserve takes nothing of the disk. */
class NoReserve extends Passing {
  override allocate(): number {
    return 0;
  }
}

function wrapped(make: (disk: Disk) => Disk): Bug {
  return { wrap: (disk: SimulatedDisk) => make(disk) };
}

/** A checkpoint right after bytes of a large file were made durable by the log alone. */
const CHECKPOINT_AFTER_LOGGED: readonly Step[] = [
  { op: 'create', path: 'a', kind: 'file' },
  { op: 'write', path: 'a', offset: 0, length: 2000 },
  { op: 'sync' },
  { op: 'run' },
  { op: 'write', path: 'a', offset: 300, length: 500 },
  { op: 'sync' },
  { op: 'steps', count: 4 },
  { op: 'backgroundCheckpoint' },
  { op: 'create', path: 'b', kind: 'file' },
];

/** A file changes while a compressed object is made of it. */
const CHANGED_WHILE_COMPRESSED: readonly Step[] = [
  { op: 'create', path: 'a', kind: 'file' },
  { op: 'write', path: 'a', offset: 0, length: 2000 },
  { op: 'sync' },
  { op: 'run' },
  { op: 'compress', path: 'a' },
  { op: 'write', path: 'a', offset: 300, length: 500 },
  { op: 'place' },
  { op: 'sync' },
  { op: 'run' },
];

/** A file with checksums changes, and nothing else happens until the power goes. */
const SUMMED_THEN_CHANGED: readonly Step[] = [
  { op: 'create', path: 'a', kind: 'file' },
  { op: 'write', path: 'a', offset: 0, length: 2000 },
  { op: 'sum', path: 'a' },
  { op: 'place' },
  { op: 'sync' },
  { op: 'run' },
  { op: 'write', path: 'a', offset: 300, length: 500 },
  { op: 'create', path: 'b', kind: 'file' },
  { op: 'sync' },
  { op: 'run' },
];

/** A file changes between the reading of its bytes and the record of their checksums. */
const CHANGED_WHILE_SUMMED: readonly Step[] = [
  { op: 'create', path: 'a', kind: 'file' },
  { op: 'write', path: 'a', offset: 0, length: 2000 },
  { op: 'sum', path: 'a' },
  { op: 'write', path: 'a', offset: 300, length: 500 },
  { op: 'place' },
  { op: 'sync' },
  { op: 'run' },
];

/** By what is wrong. */
export const PLANTED: Readonly<Record<string, Bug>> = {
  'the log is not synced': wrapped((disk) => new ForgottenSync(disk, 'log/')),
  'objects are not synced': wrapped((disk) => new ForgottenSync(disk, 'objects/')),
  'checkpoints are not synced': wrapped((disk) => new ForgottenSync(disk, 'checkpoint/')),
  'segments of vectors are not synced': wrapped((disk) => new ForgottenSync(disk, 'vectors/')),
  'names of log segments are not synced': wrapped((disk) => new ForgottenNames(disk, /^log/)),
  'names of objects are not synced': wrapped((disk) => new ForgottenNames(disk, /^objects\/../)),
  'directories of objects are not synced': wrapped((disk) => new ForgottenNames(disk, /^objects$/)),
  'names of checkpoints are not synced': wrapped((disk) => new ForgottenNames(disk, /^checkpoint$/)),
  'the files of a checkpoint have no durable names': wrapped(
    (disk) => new ForgottenNames(disk, /^checkpoint\/./),
  ),
  'objects are synced after the log': wrapped((disk) => new LateObjects(disk)),
  'a checkpoint has its name before its bytes': wrapped((disk) => new EarlyName(disk)),
  'a torn tail is not cut off': wrapped((disk) => new UncutTail(disk)),
  'checksums of records are not checked': wrapped((disk) => new UncheckedRecords(disk)),
  'the log is cut before the checkpoint is there': wrapped((disk) => new EarlyCut(disk)),
  'an fsync is answered before anything is durable': { planted: { answersAtOnce: true } },
  'an object is deleted before the log says so': { planted: { deletesAtOnce: true } },
  'objects are never synced that the log has bytes of': { planted: { forgetsLogged: true } },
  'a segment of the log ends before objects have the bytes that are in it': {
    planted: { endsSegments: true },
  },
  'a fuse actor commits though objects are not durable': { planted: { forgetsDirtied: true } },
  'a fuse actor ends a segment whose bytes objects do not have': { planted: { fillsSegments: true } },
  'records that the disk has begun to write count as durable': { planted: { trustsBegun: true } },
  'a checkpoint is of a moment for which objects need the log': {
    planted: { checkpointsAhead: true },
    steps: CHECKPOINT_AFTER_LOGGED,
  },
  'what the log has of objects is not written to them': { planted: { redoesNothing: true } },
  'older bytes of the log are written over newer ones': { planted: { redoesFlushed: true } },
  'what a recovery has written is not synced': wrapped((disk) => new ForgottenRecovery(disk)),
  'a compressed object takes the place of one that has changed': {
    planted: { placesWhatChanged: true },
    steps: CHANGED_WHILE_COMPRESSED,
  },
  'bytes change before the log says that their checksums do not count': {
    planted: { changesSummed: true },
    steps: SUMMED_THEN_CHANGED,
  },
  'bytes change and the log says only with them that their checksums do not count': {
    planted: { keepsSums: true },
    steps: SUMMED_THEN_CHANGED,
  },
  'checksums are those of bytes that have changed': {
    planted: { placesWhatChanged: true },
    steps: CHANGED_WHILE_SUMMED,
  },
};

/** Those that only a full disk shows. */
export const PLANTED_ON_FULL_DISK: Readonly<Record<string, Bug>> = {
  'what had no room is written again at another place': wrapped((disk) => new MisplacedRetry(disk)),
  'nothing is reserved for the log': wrapped((disk) => new NoReserve(disk)),
  'what would grow is refused for ever': wrapped((disk) => new EverFull(disk)),
};
