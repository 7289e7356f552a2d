/** A namespace of its own for a test: arena, slab, journal, a clock the test sets, and names as strings. */
import {
  type AttrChanges,
  Namespace,
  planNamespace,
  type ReplayObserver,
} from '../../fuse/namespace/namespace.ts';
import { Tables } from '../../fuse/namespace/tables.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import type { Clock } from '../../runtime/clock.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import {
  formatJournal,
  JournalReader,
  JournalWriter,
  journalRegionBytes,
} from '../../runtime/storage/journal-ring.ts';
import { COMMIT, FLAGS_AT, LENGTH_AT, RECORD_HEADER, TYPE_AT } from '../../runtime/storage/record-header.ts';

const MIB = 1024 * 1024;
const encoder = new TextEncoder();
export const INLINE_LIMIT = 2000;

export interface Size {
  readonly inodes?: number;
  readonly dentries?: number;
  readonly slabMiB?: number;
  readonly journalMiB?: number;
  readonly inlineLimit?: number;
}

export interface LogRecord {
  readonly type: number;
  readonly commit: boolean;
  readonly payload: Uint8Array;
}

export class TestClock implements Clock {
  /** Milliseconds. */
  time = 1_700_000_000_000;
  now(): number {
    return this.time;
  }
  monotonic(): number {
    return this.time;
  }
}

export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text);
}

export function makeArena(size: Size): Arena {
  return Arena.create([
    ...planNamespace({ maxInodes: size.inodes ?? 4096, maxDentries: size.dentries ?? 4096 }),
    { name: 'slab', bytes: (size.slabMiB ?? 64) * MIB },
    { name: 'journal', bytes: journalRegionBytes((size.journalMiB ?? 4) * MIB) },
  ]);
}

export class World {
  readonly arena: Arena;
  readonly clock = new TestClock();
  readonly slab: SlabAllocator;
  readonly journal: JournalWriter;
  readonly namespace: Namespace;
  readonly tables: Tables;
  readonly reader: JournalReader;
  readonly log: LogRecord[] = [];

  private constructor(arena: Arena, slab: SlabAllocator, size: Size) {
    this.arena = arena;
    this.slab = slab;
    this.journal = new JournalWriter(arena.region('journal'), { ring: () => this.drain() });
    this.namespace = new Namespace(arena, slab, this.journal, {
      inlineLimit: size.inlineLimit ?? INLINE_LIMIT,
      clock: this.clock,
    });
    this.tables = new Tables(arena, slab);
    this.reader = new JournalReader(arena.region('journal'));
  }

  static fresh(size: Size = {}): World {
    const arena = makeArena(size);
    SlabAllocator.format(arena.region('slab'));
    const slab = new SlabAllocator(arena.region('slab'));
    formatJournal(arena.region('journal'), 1);
    Namespace.format(arena, slab, { uid: 0, gid: 0, mode: 0o755, now: 1_600_000_000_000 });
    return new World(arena, slab, size);
  }

  /** Another thread's view of the world in `buffer`. */
  static attach(buffer: SharedArrayBuffer): World {
    const arena = Arena.attach(buffer);
    return new World(arena, new SlabAllocator(arena.region('slab')), {});
  }

  /** What a mount makes of a checkpoint of this world, in regions of another size. */
  reloaded(size: Size): World {
    this.slab.flush();
    const arena = makeArena(size);
    const parts = [...this.namespace.image(), { name: 'slab', bytes: this.slab.highWater() }];
    for (const { name, bytes } of parts) {
      arena.region(name).u8.set(this.arena.region(name).u8.subarray(0, bytes));
    }
    formatJournal(arena.region('journal'), 1);
    const world = new World(arena, new SlabAllocator(arena.region('slab')), size);
    world.namespace.restored();
    return world;
  }

  /** Takes all records out of the journal, appends them to the log, and makes room. */
  drain(): LogRecord[] {
    const { reader, log } = this;
    const limit = reader.published();
    while (reader.next(limit)) {
      const header = new DataView(reader.u8.buffer, reader.u8.byteOffset + reader.offset);
      const start = reader.offset + RECORD_HEADER;
      log.push({
        type: header.getUint16(TYPE_AT, true),
        commit: (header.getUint16(FLAGS_AT, true) & COMMIT) !== 0,
        payload: reader.u8.slice(start, start + header.getUint32(LENGTH_AT, true)),
      });
    }
    reader.release();
    return log;
  }

  replay(records: readonly LogRecord[], observer?: ReplayObserver): void {
    for (const { type, payload } of records) applyBytes(this.namespace, type, payload, observer);
  }

  create(parent: number, name: string, mode: number, uid = 0, gid = 0, rdev = 0): number {
    const u8 = bytesOf(name);
    return this.namespace.create(parent, u8, 0, u8.length, mode, uid, gid, rdev);
  }

  file(parent: number, name: string, content = ''): number {
    const ino = this.create(parent, name, 0o100644);
    if (content !== '') this.write(ino, 0, bytesOf(content));
    return ino;
  }

  directory(parent: number, name: string): number {
    return this.create(parent, name, 0o040755);
  }

  symlink(parent: number, name: string, target: string): number {
    const u8 = bytesOf(name);
    const to = bytesOf(target);
    return this.namespace.symlink(parent, u8, 0, u8.length, to, 0, to.length, 0, 0);
  }

  link(ino: number, parent: number, name: string): number {
    const u8 = bytesOf(name);
    return this.namespace.link(ino, parent, u8, 0, u8.length);
  }

  unlink(parent: number, name: string): number {
    const u8 = bytesOf(name);
    return this.namespace.unlink(parent, u8, 0, u8.length);
  }

  rmdir(parent: number, name: string): number {
    const u8 = bytesOf(name);
    return this.namespace.rmdir(parent, u8, 0, u8.length);
  }

  rename(parent: number, name: string, newParent: number, newName: string, flags = 0): number {
    const a = bytesOf(name);
    const b = bytesOf(newName);
    return this.namespace.rename(parent, a, 0, a.length, newParent, b, 0, b.length, flags);
  }

  lookup(parent: number, name: string): number {
    const u8 = bytesOf(name);
    return this.namespace.lookup(parent, u8, 0, u8.length);
  }

  write(ino: number, offset: number, content: Uint8Array, flags = 0): number {
    return this.namespace.writeInline(ino, offset, content, 0, content.length, flags);
  }

  setattr(ino: number, changes: AttrChanges): number {
    return this.namespace.setattr(ino, changes);
  }

  setxattr(ino: number, name: string, value: Uint8Array, flags = 0): number {
    const u8 = bytesOf(name);
    return this.namespace.setxattr(ino, u8, 0, u8.length, value, 0, value.length, flags);
  }

  removexattr(ino: number, name: string): number {
    const u8 = bytesOf(name);
    return this.namespace.removexattr(ino, u8, 0, u8.length);
  }

  /** The value, or −errno. */
  getxattr(ino: number, name: string): Uint8Array | number {
    const u8 = bytesOf(name);
    const out = new Uint8Array(64 * 1024);
    const length = this.namespace.getxattr(ino, u8, 0, u8.length, out, 0, out.length);
    return length < 0 ? length : out.slice(0, length);
  }

  stat(ino: number): Attr {
    const attr = new Attr();
    const result = this.namespace.stat(ino, attr);
    if (result !== 0) throw new Error(`stat of inode ${ino}: ${result}`);
    return attr;
  }

  /** Everything an inline file holds, or IS_OBJECT, −errno. */
  read(ino: number): Uint8Array | number {
    const out = new Uint8Array(70_000);
    const length = this.namespace.readInline(ino, 0, out.length, out, 0);
    return length < 0 ? length : out.slice(0, length);
  }
}

/** Gives a payload to apply at an 8-aligned place of a buffer, as recovery does. */
export function applyBytes(
  namespace: Namespace,
  type: number,
  payload: Uint8Array,
  observer?: ReplayObserver,
): void {
  const buffer = new ArrayBuffer(16 + ((payload.length + 7) & ~7));
  const u8 = new Uint8Array(buffer);
  u8.set(payload, 16);
  namespace.apply(type, u8, new Uint32Array(buffer), new Float64Array(buffer), 16, payload.length, observer);
}
