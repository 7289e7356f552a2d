/**
 * The operations without a kernel: requests are encoded as the kernel would, go through the server's loop, and the
 * replies are decoded. Lookups are counted as the kernel counts them.
 */

import { KEPT_PLAIN, Namespace, PLAIN, Place, planNamespace } from '../../fuse/namespace/namespace.ts';
import { type CompressOptions, compressObject } from '../../fuse/objects/compress.ts';
import { Content } from '../../fuse/objects/content.ts';
import { DataLocks, planDataLocks } from '../../fuse/objects/data-locks.ts';
import { ObjectFiles } from '../../fuse/objects/object-files.ts';
import { OpenFiles, planOpenFiles } from '../../fuse/objects/open-files.ts';
import { PassedFiles } from '../../fuse/objects/passed-files.ts';
import { planSyncHabits, SyncHabits } from '../../fuse/objects/sync-habits.ts';
import { Operations } from '../../fuse/operations/operations.ts';
import type { Handover, VirtualText } from '../../fuse/operations/ports.ts';
import { Resumption } from '../../fuse/operations/resumption.ts';
import * as abi from '../../fuse/protocol/abi.ts';
import { FOREVER, type Reply } from '../../fuse/protocol/reply.ts';
import type { Request } from '../../fuse/protocol/request.ts';
import type { Backing } from '../../fuse/session/backing.ts';
import { type Channel, UNMOUNTED } from '../../fuse/session/channel.ts';
import { Flight, flightBytes } from '../../fuse/session/flight.ts';
import { LATER, type Resumed, Server } from '../../fuse/session/server.ts';
import { planVirtual } from '../../fuse/virtual/node-table.ts';
import { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { KIB, MIB } from '../../runtime/config/bounds.ts';
import { EIO, ENOENT } from '../../runtime/errno.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { formatJournal, JournalReader, journalRegionBytes } from '../../runtime/storage/journal-ring.ts';
import { WitnessedJournal } from '../../runtime/storage/witnessed-journal.ts';
import { FaultyDisk } from '../storage/faulty-disk.ts';

export interface Node {
  readonly lo: number;
  readonly hi: number;
}

export const ROOT: Node = { lo: 1, hi: 0 };

export interface Caller {
  uid?: number;
  gid?: number;
  pid?: number;
}

export interface Answer {
  /** 0 or a negative errno; undefined = no reply was sent. */
  readonly error: number | undefined;
  readonly body: Buffer;
}

export interface Entry extends Node {
  readonly generation: number;
  readonly entryValid: number;
  readonly attrValid: number;
  readonly attr: Attributes;
}

export interface Attributes {
  readonly ino: Node;
  readonly size: number;
  readonly blocks: number;
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
  readonly mtimeNs: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
}

export interface Listed {
  readonly name: string;
  readonly type: number;
  readonly ino: Node;
  readonly cookie: bigint;
  readonly entry?: Entry;
}

export interface HarnessOptions {
  inlineLimit?: number;
  disk?: Disk;
  maxInodes?: number;
  virtualNodes?: number;
  text?: VirtualText;
  descriptors?: number;
  slabBytes?: number;
  journalBytes?: number;
  accessLists?: boolean;
  accessTimes?: boolean;
  writeback?: boolean;
  /** Files may be passed through to these. */
  backing?: Backing;
  /** The shared memory of another harness, which is not used any more: this one takes over. */
  over?: SharedArrayBuffer;
  /** Whether the kernel waits for an answer to this request; an answer that it does not wait for is refused. */
  waitsFor?: (unique: number) => boolean;
}

/** What was handed over, newest last. */
export class Handed implements Handover {
  readonly synced: { unique: number }[] = [];
  readonly dirty: number[] = [];
  readonly dropped: number[] = [];
  readonly changed: number[] = [];
  readonly logged: number[] = [];
  expected = 0;
  readonly gone: { ino: number; generation: number }[] = [];
  readonly vectors: { collection: number; ino: number; generation: number; value: Buffer | undefined }[] = [];
  readonly queries: {
    unique: number;
    uid: number;
    gid: number;
    pid: number;
    kind: number;
    parent: Node;
    ino: number;
    name: string;
  }[] = [];
  /** Nodes and names that the kernel was told to forget. */
  readonly forgotten: (Node | { parent: Node; name: string })[] = [];
  /** Whose attributes have changed without the kernel noticing. */
  readonly changedUnseen: number[] = [];
  onDropped: (object: number) => void = () => {};

  /** Whether there is room for one more request that waits for its answer. */
  hasRoom = true;
  /** Whether an fsync has nothing to wait for. */
  isDurable = false;

  sync(_opcode: number, uniqueLo: number): number {
    if (this.isDurable) return 0;
    if (this.hasRoom) this.synced.push({ unique: uniqueLo });
    return this.hasRoom ? LATER : -EIO;
  }
  syncExpected(): void {
    this.expected++;
  }
  objectDirty(object: number): void {
    this.dirty.push(object);
  }
  objectLogged(object: number): void {
    this.logged.push(object);
  }
  objectDropped(object: number): void {
    this.dropped.push(object);
    this.onDropped(object);
  }
  contentChanged(ino: number): void {
    this.changed.push(ino);
  }
  removed(ino: number, generation: number): void {
    this.gone.push({ ino, generation });
  }
  vectorSet(
    collection: number,
    ino: number,
    generation: number,
    _stamp: number,
    u8: Uint8Array,
    start: number,
    length: number,
  ): void {
    const value = Buffer.from(u8.slice(start, start + length));
    this.vectors.push({ collection, ino, generation, value });
  }
  vectorRemoved(collection: number, ino: number, generation: number): void {
    this.vectors.push({ collection, ino, generation, value: undefined });
  }
  readonly queryFiles: {
    unique: number;
    node: number;
    position: number;
    length: number;
    text: string | undefined;
  }[] = [];
  queryFile(
    unique: number,
    _uniqueHi: number,
    _uid: number,
    _gid: number,
    _pid: number,
    node: number,
    position: number,
    length: number,
    u8: Uint8Array | undefined,
    start: number,
  ): boolean {
    const text = u8 && Buffer.from(u8.slice(start, start + length)).toString();
    this.queryFiles.push({ unique, node, position, length, text });
    return this.hasRoom;
  }
  query(
    uniqueLo: number,
    _uniqueHi: number,
    uid: number,
    gid: number,
    pid: number,
    kind: number,
    parentLo: number,
    parentHi: number,
    ino: number,
    u8: Uint8Array,
    start: number,
    length: number,
  ): boolean {
    const name = Buffer.from(u8.slice(start, start + length)).toString();
    const parent = { lo: parentLo, hi: parentHi };
    if (this.hasRoom) this.queries.push({ unique: uniqueLo, uid, gid, pid, kind, parent, ino, name });
    return this.hasRoom;
  }
  interrupt(uniqueLo: number): void {
    const at = this.queries.findIndex(({ unique }) => unique === uniqueLo);
    if (at >= 0) this.queries.splice(at, 1);
  }
  /** As the real one: who was to answer, and has not, does not any more. */
  withdraw(uniqueLo: number): void {
    for (const posted of [this.synced, this.queries]) {
      const at = posted.findIndex(({ unique }) => unique === uniqueLo);
      if (at >= 0) posted.splice(at, 1);
    }
  }
  forgetName(parentLo: number, parentHi: number, u8: Uint8Array, start: number, length: number): void {
    const name = Buffer.from(u8.slice(start, start + length)).toString();
    this.forgotten.push({ parent: { lo: parentLo, hi: parentHi }, name });
  }
  forgetAttributes(lo: number): void {
    this.changedUnseen.push(lo);
  }
  forgetInode(lo: number, hi: number): void {
    this.forgotten.push({ lo, hi });
  }
}

const TEXTS: VirtualText = {
  hasQueries: true,
  list: () => ['main', 'fuse-0'],
  changedAt: () => 0,
  text: (path) =>
    path.startsWith('actors/main/') || !path.startsWith('actors') ? `text of ${path}\n` : undefined,
};

export class Harness {
  readonly disk: Disk;
  readonly arena: Arena;
  readonly slab: SlabAllocator;
  readonly namespace: Namespace;
  readonly virtual: VirtualTree;
  readonly objects: ObjectFiles;
  readonly content: Content;
  readonly operations: Operations;
  readonly handed = new Handed();
  readonly flight: Flight;
  /** Scratch for whoever locates a file. */
  readonly place = new Place();
  /** Called between the steps of a request. */
  onStep: (step: string) => void = () => {};
  /** Errors that operations threw. */
  readonly failures: unknown[] = [];
  /** Milliseconds since the epoch; tests move it. */
  now = 1_700_000_000_000;
  readonly #journal: JournalReader;
  readonly #server: Server;
  #message = 0;
  #sent: Buffer | undefined;
  #unique = 1;
  readonly #waitsFor: (unique: number) => boolean;

  constructor(options: HarnessOptions = {}) {
    const inlineLimit = options.inlineLimit ?? 16 * KIB;
    const clock = { now: () => this.now, monotonic: () => this.now };
    this.disk = options.disk ?? new FaultyDisk();
    this.disk.mkdir('objects');
    this.#waitsFor = options.waitsFor ?? (() => true);
    this.arena = options.over === undefined ? this.#createArena(options) : Arena.attach(options.over);
    this.flight = new Flight(this.arena.region('flights'), 0);
    if (options.over === undefined) {
      SlabAllocator.format(this.arena.region('slab'));
      formatJournal(this.arena.region('journal'), 1);
    }
    this.slab = new SlabAllocator(this.arena.region('slab'));
    if (options.over === undefined)
      Namespace.format(this.arena, this.slab, { uid: 0, gid: 0, mode: 0o755, now: this.now });
    // Whoever waits for what is durable finds that everything is.
    const io = { ring: () => this.#journal.setDurable(this.#journal.published()) };
    const journal = new WitnessedJournal(this.arena.region('journal'), io, {
      publishing: () => {
        this.flight.publishing();
        this.onStep('publishing');
      },
      published: () => {
        this.onStep('published, not noted');
        this.flight.published();
        this.onStep('published');
      },
    });
    this.#journal = new JournalReader(this.arena.region('journal'));
    this.namespace = new Namespace(this.arena, this.slab, journal, { inlineLimit, clock });
    this.objects = new ObjectFiles(this.disk, options.descriptors ?? 4);
    const habits = new SyncHabits(this.arena);
    const locks = new DataLocks(this.arena);
    const { namespace, objects, handed: events } = this;
    const passed =
      options.backing &&
      new PassedFiles({
        namespace,
        objects,
        locks,
        openFiles: new OpenFiles(this.arena),
        backing: options.backing,
        now: () => this.now,
        events,
      });
    const content = new Content(namespace, objects, locks, events, { habits, passed });
    this.content = content;
    this.virtual = new VirtualTree(this.arena, this.slab, this.namespace, options.text ?? TEXTS, clock);
    this.operations = new Operations({
      namespace: this.namespace,
      content,
      virtual: this.virtual,
      handover: this.handed,
      disk: this.disk,
      clock,
      flight: this.flight,
      options: {
        entryTimeout: FOREVER,
        negativeTimeout: FOREVER,
        attrTimeout: FOREVER,
        model: 'test-model',
        accessLists: options.accessLists ?? true,
        accessTimes: options.accessTimes ?? false,
        writeback: options.writeback ?? false,
      },
    });
    const hooks = {
      started: () => {},
      finished: () => {},
      rang: () => true,
      failed: (_request: Request, error: unknown) => void this.failures.push(error),
    };
    this.#server = new Server(this.#channel(), this.operations, hooks, { flight: this.flight });
  }

  #createArena(options: HarnessOptions): Arena {
    const maxInodes = options.maxInodes ?? 4096;
    return Arena.create([
      ...planNamespace({ maxInodes, maxDentries: 2 * maxInodes }),
      planVirtual(options.virtualNodes ?? 64),
      planDataLocks(),
      ...planOpenFiles(maxInodes),
      planSyncHabits(),
      { name: 'journal', bytes: journalRegionBytes(options.journalBytes ?? 4 * MIB) },
      { name: 'slab', bytes: options.slabBytes ?? 64 * MIB },
      { name: 'flights', bytes: flightBytes(1) },
    ]);
  }

  get request(): Request {
    return this.#server.request;
  }

  get reply(): Reply {
    return this.#server.reply;
  }

  /** One message in, at most one out. */
  #channel(): Channel {
    return {
      receive: () => {
        const length = this.#message;
        this.#message = 0;
        this.onStep(length > 0 ? 'received' : 'ended');
        return length > 0 ? length : UNMOUNTED;
      },
      send: (reply) => {
        this.onStep('answering');
        if (!this.#waitsFor(reply.u32[2]!)) return -ENOENT;
        this.#sent = Buffer.from(reply.u8.slice(0, reply.length));
        this.onStep('answered');
        return 0;
      },
      polled: 0,
      parked: 0,
    };
  }

  /** Sends the raw message that is in the request's buffer. */
  raw(length: number): Answer {
    this.#message = length;
    this.#sent = undefined;
    this.#server.serve();
    this.drainJournal();
    return this.#answer();
  }

  /** Ends the request that the harness before this one was at. */
  resume(): Answer & { resumed: Resumed } {
    this.#sent = undefined;
    const resumed = this.#server.resume(new Resumption(this.operations));
    this.drainJournal();
    return { resumed, ...this.#answer() };
  }

  #answer(): Answer {
    const sent = this.#sent as Buffer | undefined;
    if (sent === undefined) return { error: undefined, body: Buffer.alloc(0) };
    return { error: sent.readInt32LE(4), body: sent.subarray(16) };
  }

  call(opcode: number, node: Node, body: Uint8Array = Buffer.alloc(0), caller: Caller = {}): Answer {
    const { u8, u32 } = this.request;
    const length = 40 + body.length;
    u32[0] = length;
    u32[1] = opcode;
    u32[2] = this.#unique++;
    u32[3] = 0;
    u32[4] = node.lo;
    u32[5] = node.hi;
    u32[6] = caller.uid ?? 1000;
    u32[7] = caller.gid ?? 1000;
    u32[8] = caller.pid ?? 4242;
    u32[9] = 0;
    u8.set(body, 40);
    return this.raw(length);
  }

  /** Plays io: everything journalled so far is taken and forgotten. */
  drainJournal(): void {
    const limit = this.#journal.published();
    while (this.#journal.next(limit));
    this.#journal.release();
  }

  /** As the thread that compresses cold files and fuse-0 do: 0 or −errno. */
  compress({ lo }: Node, options: CompressOptions): number {
    const place = new Place();
    const failed = this.namespace.locate(lo, place);
    const { object: from, size, stored: form, generation, version } = place;
    if (failed < 0 || from === 0 || size === 0 || form !== PLAIN) return failed;
    const id = this.namespace.newObjectId();
    const stored = compressObject(this.disk, from, id, size, options);
    if (stored < 0) return stored;
    const to = stored === KEPT_PLAIN ? from : id;
    const done = this.content.compressed({ ino: lo, generation, version, from, to, stored });
    this.drainJournal();
    return done;
  }

  // ---- decoded calls: a value, or the negative errno

  lookup(parent: Node, name: string, caller?: Caller): Entry | number {
    return entryOf(this.call(abi.FUSE_LOOKUP, parent, strings(name), caller));
  }

  create(parent: Node, name: string, mode = 0o644, flags = 0o100 | 0o200): Entry | number {
    return entryOf(this.call(abi.FUSE_CREATE, parent, concat(words(flags, mode, 0, 0), strings(name))));
  }

  mkdir(parent: Node, name: string, mode = 0o755): Entry | number {
    return entryOf(this.call(abi.FUSE_MKDIR, parent, concat(words(mode, 0), strings(name))));
  }

  mknod(parent: Node, name: string, mode: number, rdev = 0): Entry | number {
    return entryOf(this.call(abi.FUSE_MKNOD, parent, concat(words(mode, rdev, 0, 0), strings(name))));
  }

  symlink(parent: Node, name: string, target: string): Entry | number {
    return entryOf(this.call(abi.FUSE_SYMLINK, parent, strings(name, target)));
  }

  link(node: Node, parent: Node, name: string): Entry | number {
    return entryOf(this.call(abi.FUSE_LINK, parent, concat(words(node.lo, node.hi), strings(name))));
  }

  unlink(parent: Node, name: string): number | undefined {
    return this.call(abi.FUSE_UNLINK, parent, strings(name)).error;
  }

  rmdir(parent: Node, name: string): number | undefined {
    return this.call(abi.FUSE_RMDIR, parent, strings(name)).error;
  }

  rename(parent: Node, name: string, newParent: Node, newName: string, flags = 0): number | undefined {
    const body = concat(words(newParent.lo, newParent.hi, flags, 0), strings(name, newName));
    return this.call(abi.FUSE_RENAME2, parent, body).error;
  }

  getattr(node: Node): Attributes | number {
    const { error, body } = this.call(abi.FUSE_GETATTR, node, Buffer.alloc(16));
    return error === 0 ? attributesAt(body, 16) : error!;
  }

  setattr(node: Node, fields: SetattrFields): Attributes | number {
    const { error, body } = this.call(abi.FUSE_SETATTR, node, setattrBody(fields));
    return error === 0 ? attributesAt(body, 16) : error!;
  }

  /** FOPEN flags and backing id, or −errno. */
  open(node: Node, flags: number): { flags: number; backing: number } | number {
    const { error, body } = this.call(abi.FUSE_OPEN, node, words(flags, 0));
    return error === 0 ? { flags: body.readUInt32LE(8), backing: body.readInt32LE(12) } : error!;
  }

  release(node: Node, flags: number): number | undefined {
    return this.call(abi.FUSE_RELEASE, node, words(0, 0, flags, 0, 0, 0)).error;
  }

  /** Writes to the object of a file as the kernel does that passes it through. */
  writePastUs({ lo }: Node, position: number, bytes: Uint8Array): void {
    const place = new Place();
    this.namespace.locate(lo, place);
    this.objects.write(place.object, position, bytes, 0, bytes.length);
  }

  truncate(node: Node, size: number): number {
    const done = this.setattr(node, { valid: abi.FATTR_SIZE, size });
    return typeof done === 'number' ? done : 0;
  }

  read(node: Node, position: number, size: number): Buffer | number {
    const body = Buffer.alloc(40);
    writeU64(body, 8, position);
    body.writeUInt32LE(size, 16);
    const answer = this.call(abi.FUSE_READ, node, body);
    return answer.error === 0 ? answer.body : answer.error!;
  }

  write(node: Node, position: number, data: Uint8Array | string, flags = 0): number {
    const bytes = Buffer.from(data as string);
    const body = Buffer.alloc(40);
    writeU64(body, 8, position);
    body.writeUInt32LE(bytes.length, 16);
    body.writeUInt32LE(flags, 20);
    const answer = this.call(abi.FUSE_WRITE, node, concat(body, bytes));
    return answer.error === 0 ? answer.body.readUInt32LE(0) : answer.error!;
  }

  fallocate(node: Node, mode: number, start: number, length: number): number | undefined {
    const body = Buffer.alloc(32);
    writeU64(body, 8, start);
    writeU64(body, 16, length);
    body.writeUInt32LE(mode, 24);
    return this.call(abi.FUSE_FALLOCATE, node, body).error;
  }

  readlink(node: Node): string | number {
    const { error, body } = this.call(abi.FUSE_READLINK, node);
    return error === 0 ? body.toString() : error!;
  }

  /** One READDIR or READDIRPLUS. */
  readdirOnce(node: Node, cookie: bigint, size: number, plus = false): Listed[] | number {
    const request = Buffer.alloc(40);
    request.writeBigUInt64LE(cookie, 8);
    request.writeUInt32LE(size, 16);
    const { error, body } = this.call(plus ? abi.FUSE_READDIRPLUS : abi.FUSE_READDIR, node, request);
    return error === 0 ? direntsOf(body, plus) : error!;
  }

  /** The whole directory, in buffers of `size` bytes. */
  readdir(node: Node, size = 4096, plus = false): Listed[] {
    const all: Listed[] = [];
    for (let cookie = 0n; ; cookie = all.at(-1)!.cookie) {
      const some = this.readdirOnce(node, cookie, size, plus);
      if (typeof some === 'number') throw new Error(`readdir: errno ${-some}`);
      if (some.length === 0) return all;
      all.push(...some);
    }
  }

  names(node: Node): string[] {
    return this.readdir(node)
      .map(({ name }) => name)
      .filter((name) => name !== '.' && name !== '..')
      .sort();
  }

  setxattr(node: Node, name: string, value: Uint8Array | string, flags = 0): number | undefined {
    const bytes = Buffer.from(value as string);
    const body = concat(words(bytes.length, flags, 0, 0), strings(name), bytes);
    return this.call(abi.FUSE_SETXATTR, node, body).error;
  }

  getxattr(node: Node, name: string, size = 65536): Buffer | number {
    const { error, body } = this.call(abi.FUSE_GETXATTR, node, concat(words(size, 0), strings(name)));
    if (error !== 0) return error!;
    return size === 0 ? body.readUInt32LE(0) : body;
  }

  listxattr(node: Node, size = 65536, caller: Caller = {}): string[] | number {
    const { error, body } = this.call(abi.FUSE_LISTXATTR, node, words(size, 0), caller);
    if (error !== 0) return error!;
    if (size === 0) return body.readUInt32LE(0);
    return body.toString().split('\0').slice(0, -1).sort();
  }

  removexattr(node: Node, name: string): number | undefined {
    return this.call(abi.FUSE_REMOVEXATTR, node, strings(name)).error;
  }

  forget(node: Node, count = 1): void {
    this.call(abi.FUSE_FORGET, node, words(count, 0));
  }
}

export interface SetattrFields {
  valid: number;
  size?: number;
  mode?: number;
  uid?: number;
  gid?: number;
  atime?: number;
  mtime?: number;
  ctime?: number;
  atimeNs?: number;
  mtimeNs?: number;
  ctimeNs?: number;
}

export function setattrBody(fields: SetattrFields): Buffer {
  const body = Buffer.alloc(abi.SETATTR_IN_BYTES);
  body.writeUInt32LE(fields.valid, abi.SETATTR_IN_VALID);
  writeU64(body, abi.SETATTR_IN_SIZE, fields.size ?? 0);
  body.writeBigInt64LE(BigInt(fields.atime ?? 0), abi.SETATTR_IN_ATIME);
  body.writeBigInt64LE(BigInt(fields.mtime ?? 0), abi.SETATTR_IN_MTIME);
  body.writeBigInt64LE(BigInt(fields.ctime ?? 0), abi.SETATTR_IN_CTIME);
  body.writeUInt32LE(fields.atimeNs ?? 0, abi.SETATTR_IN_ATIMENSEC);
  body.writeUInt32LE(fields.mtimeNs ?? 0, abi.SETATTR_IN_MTIMENSEC);
  body.writeUInt32LE(fields.ctimeNs ?? 0, abi.SETATTR_IN_CTIMENSEC);
  body.writeUInt32LE(fields.mode ?? 0, abi.SETATTR_IN_MODE);
  body.writeUInt32LE(fields.uid ?? 0, abi.SETATTR_IN_UID);
  body.writeUInt32LE(fields.gid ?? 0, abi.SETATTR_IN_GID);
  return body;
}

export function words(...values: number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}

/** NUL-terminated, one after the other. */
export function strings(...values: string[]): Buffer {
  return Buffer.from(values.map((value) => `${value}\0`).join(''));
}

export const concat = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts);

function writeU64(body: Buffer, at: number, value: number): void {
  body.writeBigUInt64LE(BigInt(value), at);
}

export function entryOf({ error, body }: Answer): Entry | number {
  return error === 0 ? entryAt(body, 0) : error!;
}

function nodeAt(body: Buffer, at: number): Node {
  return { lo: body.readUInt32LE(at), hi: body.readUInt32LE(at + 4) };
}

export function entryAt(body: Buffer, at: number): Entry {
  return {
    ...nodeAt(body, at),
    generation: body.readUInt32LE(at + abi.ENTRY_OUT_GENERATION),
    entryValid: body.readUInt32LE(at + abi.ENTRY_OUT_ENTRY_VALID),
    attrValid: body.readUInt32LE(at + abi.ENTRY_OUT_ATTR_VALID),
    attr: attributesAt(body, at + abi.ENTRY_OUT_ATTR),
  };
}

function attributesAt(body: Buffer, at: number): Attributes {
  return {
    ino: nodeAt(body, at + abi.ATTR_INO),
    size: Number(body.readBigUInt64LE(at + abi.ATTR_SIZE)),
    blocks: Number(body.readBigUInt64LE(at + abi.ATTR_BLOCKS)),
    atime: Number(body.readBigInt64LE(at + abi.ATTR_ATIME)),
    mtime: Number(body.readBigInt64LE(at + abi.ATTR_MTIME)),
    ctime: Number(body.readBigInt64LE(at + abi.ATTR_CTIME)),
    mtimeNs: body.readUInt32LE(at + abi.ATTR_MTIMENSEC),
    mode: body.readUInt32LE(at + abi.ATTR_MODE),
    nlink: body.readUInt32LE(at + abi.ATTR_NLINK),
    uid: body.readUInt32LE(at + abi.ATTR_UID),
    gid: body.readUInt32LE(at + abi.ATTR_GID),
    rdev: body.readUInt32LE(at + abi.ATTR_RDEV),
  };
}

function direntsOf(body: Buffer, plus: boolean): Listed[] {
  const listed: Listed[] = [];
  for (let at = 0; at < body.length; ) {
    const dirent = plus ? at + abi.ENTRY_OUT_BYTES : at;
    const nameBytes = body.readUInt32LE(dirent + abi.DIRENT_NAMELEN);
    const name = body.subarray(dirent + abi.DIRENT_NAME, dirent + abi.DIRENT_NAME + nameBytes).toString();
    listed.push({
      name,
      type: body.readUInt32LE(dirent + abi.DIRENT_TYPE),
      ino: nodeAt(body, dirent + abi.DIRENT_INO),
      cookie: body.readBigUInt64LE(dirent + abi.DIRENT_OFF),
      ...(plus ? { entry: entryAt(body, at) } : {}),
    });
    at = dirent + ((abi.DIRENT_NAME + nameBytes + 7) & ~7);
  }
  return listed;
}

/** Fails the test unless the call succeeded. */
export function ok<T>(value: T | number): T {
  if (typeof value === 'number') throw new Error(`errno ${-value}`);
  return value;
}
