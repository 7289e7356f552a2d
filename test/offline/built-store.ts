/** A store with something of everything, made by the code that makes them, in one thread and without a mount. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeChunkBatch } from '../../actors/chunk-batch.ts';
import { checkpoint, type Recovered, recover, startJournal } from '../../actors/io/recovery.ts';
import { LogWriter } from '../../actors/log-writer.ts';
import { SegmentWriter } from '../../actors/text-segment.ts';
import { shardOf } from '../../actors/topology.ts';
import { checkStore, type StoreCheck } from '../../cli/offline/check.ts';
import { PrivateTree } from '../../cli/offline/private-tree.ts';
import { DirEntry, isCompressed, type Namespace, Place } from '../../fuse/namespace/namespace.ts';
import { compressObject } from '../../fuse/objects/compress.ts';
import { CompressedObjects } from '../../fuse/objects/compressed-objects.ts';
import { ObjectFiles } from '../../fuse/objects/object-files.ts';
import { objectPath } from '../../fuse/objects/object-path.ts';
import { sumsOf } from '../../fuse/objects/summed-objects.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import { systemClock } from '../../runtime/clock.ts';
import { MIB } from '../../runtime/config/bounds.ts';
import { configSchema } from '../../runtime/config/schema.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { JournalReader } from '../../runtime/storage/journal-ring.ts';
import { type OpenStore, openStore } from '../../runtime/storage/store.ts';

export const MEMORY = { memory: { ...configSchema.parse({}).memory, budget: 32 * MIB, max_files: 2000 } };
const SHARDS = 2;
const encoder = new TextEncoder();
const FILE = 0o100644;
const DIRECTORY = 0o040755;

export class Folder {
  readonly root = mkdtempSync(join(tmpdir(), 'vexfs-offline-'));
  readonly store = join(this.root, 'store');

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

export function opened(path: string): OpenStore {
  const store = openStore(path, { create: true });
  if ('kind' in store) throw new Error(store.message);
  return store;
}

/** A store as io-0 has it: recovered, with a log that goes on. */
export class BuiltStore {
  readonly store: OpenStore;
  readonly tree = new PrivateTree(MEMORY, systemClock);
  readonly recovered: Recovered;
  readonly objects: ObjectFiles;
  readonly #log: LogWriter;
  readonly #journal: JournalReader;

  constructor(path: string) {
    this.store = opened(path);
    const { disk, identity } = this.store;
    const recovered = recover(disk, identity, this.tree, systemClock);
    if (typeof recovered === 'string') throw new Error(recovered);
    this.recovered = recovered;
    const region = this.tree.arena.region('journal');
    startJournal(region, recovered, systemClock);
    const { nextSequence, lastLsn } = recovered;
    this.#log = new LogWriter(disk, { uuid: identity.bytes, segmentBytes: 4096, nextSequence, lastLsn });
    this.#journal = new JournalReader(region);
    this.objects = new ObjectFiles(disk, 8);
  }

  get namespace(): Namespace {
    return this.tree.namespace;
  }

  /** Makes what was changed durable. */
  commit(): void {
    const limit = this.#journal.published();
    if (this.#log.append(this.#journal, limit) < 0 || this.#log.sync() < 0) throw new Error('the log failed');
    this.#journal.setDurable(limit);
  }

  /** As an unmount does: the text vectors of the files indexed so far, then the checkpoint. */
  checkpoint(): void {
    this.commit();
    this.#log.finishSegment();
    const { disk, identity } = this.store;
    const lsn = this.#log.durableLsn;
    const writers = Array.from({ length: SHARDS }, (_, shard) => new SegmentWriter(disk, lsn, shard, SHARDS));
    for (let ino = 2; ino < this.namespace.inodesEnd; ino++) {
      const attr = new Attr();
      if (this.namespace.stat(ino, attr) < 0 || (attr.mode & 0o170000) !== 0o100000) continue;
      const chunk = { byteOffset: 0, byteLength: 1, line: 1, vector: Float32Array.of(ino, 1, 2, 3) };
      writers[shardOf(ino, SHARDS)]!.add(ino, attr.generation, encodeChunkBatch(1, 0, [chunk], 4));
    }
    for (const writer of writers) if (writer.finish() < 0) throw new Error('a segment failed');
    if (checkpoint(disk, identity, this.tree, lsn, systemClock) < 0) throw new Error('the checkpoint failed');
  }

  /** As a kill: nothing is written. */
  close(): void {
    this.#log.close();
    this.objects.close();
    this.store.release();
  }

  create(parent: number, name: string, mode = FILE): number {
    const u8 = encoder.encode(name);
    return required(this.namespace.create(parent, u8, 0, u8.length, mode, 7, 8, 0));
  }

  directory(parent: number, name: string): number {
    return this.create(parent, name, DIRECTORY);
  }

  inline(parent: number, name: string, content: string): number {
    const ino = this.create(parent, name);
    const u8 = encoder.encode(content);
    required(this.namespace.writeInline(ino, 0, u8, 0, u8.length));
    return ino;
  }

  /** A file whose bytes are in an object. */
  large(parent: number, name: string, content: string): number {
    const ino = this.create(parent, name);
    const id = this.namespace.newObjectId();
    const u8 = encoder.encode(content);
    required(this.objects.create(id));
    required(this.objects.write(id, 0, u8, 0, u8.length));
    required(this.namespace.attachObject(ino, id, u8.length));
    return ino;
  }

  /** The same, in a compressed object of two pieces. */
  compressed(parent: number, name: string, content: string): number {
    const ino = this.large(parent, name, content);
    const from = this.namespace.objectOf(ino);
    const to = this.namespace.newObjectId();
    const frameBytes = Math.ceil(content.length / 2);
    const stored = compressObject(this.store.disk, from, to, content.length, { frameBytes, blockBytes: 1 });
    required(this.namespace.placeObject(ino, from, to, Math.ceil(required(stored) / 4096)));
    this.store.disk.unlink(objectPath(from));
    this.namespace.takeDropped();
    return ino;
  }

  /** A large file with the checksums of its bytes. */
  summed(parent: number, name: string, content: string): number {
    const ino = this.large(parent, name, content);
    const object = this.namespace.objectOf(ino);
    const sums = sumsOf(this.store.disk, object, content.length);
    if (typeof sums === 'number') throw new Error(`errno ${-sums}`);
    required(this.namespace.setSums(ino, object, new Uint8Array(sums.buffer), 0, sums.length));
    return ino;
  }

  symlink(parent: number, name: string, target: string): number {
    const [u8, to] = [encoder.encode(name), encoder.encode(target)];
    return required(this.namespace.symlink(parent, u8, 0, u8.length, to, 0, to.length, 7, 8));
  }

  link(ino: number, parent: number, name: string): void {
    const u8 = encoder.encode(name);
    required(this.namespace.link(ino, parent, u8, 0, u8.length));
  }

  unlink(parent: number, name: string): void {
    const u8 = encoder.encode(name);
    required(this.namespace.unlink(parent, u8, 0, u8.length));
  }

  xattr(ino: number, name: string, value: Uint8Array): void {
    const u8 = encoder.encode(name);
    required(this.namespace.setxattr(ino, u8, 0, u8.length, value, 0, value.length, 0));
  }

  vector(ino: number, ...elements: number[]): void {
    this.xattr(ino, 'user.vexfs.vector', new Uint8Array(Float32Array.from(elements).buffer));
  }

  /** Some of everything below a directory of that name. */
  populate(name: string): void {
    const top = this.directory(1, name);
    const deep = this.directory(
      this.directory(top, 'a'),
      'a directory with a name that is longer than a record',
    );
    const file = this.inline(deep, 'small.txt', `${name}: a few bytes`);
    this.link(file, top, 'another name of small.txt');
    this.vector(file, 1, 2, 3);
    this.xattr(file, 'user.note', encoder.encode('x'.repeat(300)));
    const large = this.large(top, 'large.bin', `${name} `.repeat(3000));
    this.vector(large, 4, 5, 6);
    this.symlink(top, 'link', '../somewhere/else');
    this.create(top, 'fifo', 0o010600);
    for (let i = 0; i < 20; i++) this.inline(top, `file-${i}`, `${i}`.repeat(i * 7));
    for (let i = 0; i < 20; i += 3) this.unlink(top, `file-${i}`);
  }
}

/** Two generations of checkpoints, with the log of both and of what came after. */
export function buildStore(path: string): void {
  const first = new BuiltStore(path);
  first.populate('one');
  first.checkpoint();
  first.populate('two');
  first.checkpoint();
  first.populate('three');
  first.commit();
  first.populate('four');
  first.commit();
  first.close();
}

export function inspected(path: string): StoreCheck {
  const store = openStore(path, { create: false, inspect: true });
  if ('kind' in store) throw new Error(store.message);
  try {
    return checkStore(store.disk, store.identity, MEMORY, () => {});
  } finally {
    store.release();
  }
}

/** Each path of the tree with all that can be read of it. */
export function describeTree({ namespace }: PrivateTree, disk: Disk): Map<string, string> {
  const described = new Map<string, string>();
  const visit = (ino: number, path: string): void => {
    described.set(path, describeInode(namespace, disk, ino));
    const entry = new DirEntry();
    for (
      let lo = 0, hi = 0;
      namespace.readdir(ino, lo, hi, entry);
      lo = entry.cookieLo, hi = entry.cookieHi
    ) {
      const name = Buffer.from(entry.name.subarray(0, entry.nameLength)).toString();
      if (name !== '.' && name !== '..') visit(entry.ino, `${path}/${name}`);
    }
  };
  visit(1, '');
  return described;
}

/** Bytes of a file that has an object, or −errno. */
function readObject(namespace: Namespace, disk: Disk, ino: number, bytes: Uint8Array): number {
  const place = new Place();
  namespace.locate(ino, place);
  const { object, size, stored } = place;
  const objects = new ObjectFiles(disk, 1);
  const got = isCompressed(stored)
    ? new CompressedObjects(objects, 0).read(object, size, 0, size, bytes, 0)
    : objects.readStored(object, 0, size, bytes, 0);
  objects.close();
  return got;
}

function describeInode(namespace: Namespace, disk: Disk, ino: number): string {
  const attr = new Attr();
  namespace.stat(ino, attr);
  const bytes = new Uint8Array(70_000);
  const names = Buffer.alloc(70_000);
  const object = namespace.objectOf(ino);
  let length = object > 0 ? attr.size : namespace.readInline(ino, 0, bytes.length, bytes, 0);
  if (object > 0) length = readObject(namespace, disk, ino, bytes);
  const content = length < 0 ? length : Buffer.from(bytes.subarray(0, length)).toString('latin1');
  const listed = names.subarray(0, namespace.listxattr(ino, names, 0, names.length));
  const xattrs = listed.toString().split('\0').filter(Boolean).sort();
  const values = xattrs.map((name) => {
    const u8 = encoder.encode(name);
    const got = namespace.getxattr(ino, u8, 0, u8.length, bytes, 0, bytes.length);
    return `${name}=${Buffer.from(bytes.subarray(0, got)).toString('hex')}`;
  });
  const target = Buffer.alloc(5000);
  const link = namespace.readlink(ino, target, 0);
  return JSON.stringify([attr, content, values, link < 0 ? link : target.subarray(0, link).toString()]);
}

function required(result: number): number {
  if (result < 0) throw new Error(`errno ${-result}`);
  return result;
}
