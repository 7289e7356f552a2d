/**
 * A disk in memory that keeps apart what is durable and what is not: for each file the bytes as of its last fsync and
 * the changes since, for each directory the names as of its last sync and the changes since. `crash(seed)` gives the
 * disk as a boot after a power cut may find it; which of the outcomes it is follows from the seed:
 *
 *   nothing     only what was synced
 *   everything  all that was written
 *   names       all names, of the files only what was synced;   data   the other way round
 *   prefix      of each file and each directory the changes up to some one, that write torn at any byte
 *   subset      of each file any of the changed sectors and truncations, of each directory any of the changes
 *
 * Nothing links the fates of two files or of a file and its name: whoever wants an order has to sync. A rename is one
 * change of its directory. `kill()` gives the disk as it is after the process alone has died. Calls can be watched and made to fail; a write that fails may have written a part.
 */
import { EEXIST, EISDIR, ENOENT, ENOSPC, ENOTDIR, ENOTEMPTY } from '../../runtime/errno.ts';
import type { Disk, DiskSpace, FileStatus, OpenStatus } from '../../runtime/storage/disk.ts';
import { seeded } from '../seed.ts';

export const SECTOR = 512;

type Random = (bound: number) => number;
type FileChange = { readonly at: number; readonly bytes: Uint8Array } | { readonly truncatedTo: number };
interface NameChange {
  readonly removed?: string;
  readonly name?: string;
  readonly node?: Node;
}
type Node = SimulatedFile | SimulatedDirectory;

const FATES = ['nothing', 'everything', 'names', 'data', 'prefix', 'prefix', 'subset', 'subset'] as const;
export type Fate = (typeof FATES)[number];

class SimulatedFile {
  durable: Uint8Array;
  /** As the running system sees it; shared with others while `isShared`, and then not to be written to. */
  data: Uint8Array;
  isShared = true;
  pending: FileChange[] = [];
  /** How often it was changed: its time, in nanoseconds. */
  changes = 0;

  constructor(bytes: Uint8Array) {
    this.durable = bytes;
    this.data = bytes;
  }

  write(at: number, bytes: Uint8Array): void {
    this.changes++;
    this.#own(Math.max(this.data.length, at + bytes.length));
    this.data.set(bytes, at);
    this.pending.push({ at, bytes });
  }

  truncate(bytes: number): void {
    this.changes++;
    this.data = resized(this.data, bytes);
    this.isShared = false;
    this.pending.push({ truncatedTo: bytes });
  }

  sync(): void {
    this.durable = this.data;
    this.isShared = true;
    this.pending = [];
  }

  #own(bytes: number): void {
    if (this.isShared || bytes !== this.data.length) this.data = resized(this.data, bytes);
    this.isShared = false;
  }

  /** The same, for another process. */
  copy(): SimulatedFile {
    const next = new SimulatedFile(this.durable);
    this.isShared = true;
    next.data = this.data;
    next.pending = [...this.pending];
    next.changes = this.changes;
    return next;
  }

  after(fate: Fate, random: Random): SimulatedFile {
    if (this.pending.length === 0 || fate === 'nothing' || fate === 'names')
      return new SimulatedFile(this.durable);
    if (fate === 'everything' || fate === 'data') {
      this.isShared = true;
      return new SimulatedFile(this.data);
    }
    return new SimulatedFile(fate === 'prefix' ? this.#prefix(random) : this.#subset(random));
  }

  #prefix(random: Random): Uint8Array {
    const whole = random(this.pending.length + 1);
    let bytes: Uint8Array = this.durable.slice();
    for (const change of this.pending.slice(0, whole)) bytes = changed(bytes, change);
    const torn = this.pending[whole];
    if (torn === undefined || 'truncatedTo' in torn) return bytes;
    return changed(bytes, { at: torn.at, bytes: torn.bytes.subarray(0, random(torn.bytes.length + 1)) });
  }

  #subset(random: Random): Uint8Array {
    let bytes: Uint8Array = this.durable.slice();
    for (const change of this.pending) {
      if ('truncatedTo' in change) {
        if (random(2) === 0) bytes = changed(bytes, change);
        continue;
      }
      for (let from = 0; from < change.bytes.length; ) {
        const position = change.at + from;
        const to = Math.min(change.bytes.length, from + SECTOR - (position % SECTOR));
        if (random(2) === 0) bytes = changed(bytes, { at: position, bytes: change.bytes.subarray(from, to) });
        from = to;
      }
    }
    // A length may be there before the bytes that made it.
    return random(3) === 0 && bytes.length < this.data.length ? resized(bytes, this.data.length) : bytes;
  }
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const result = new Uint8Array(length);
  result.set(length < bytes.length ? bytes.subarray(0, length) : bytes);
  return result;
}

/** `bytes` may be changed in place. */
function changed(bytes: Uint8Array, change: FileChange): Uint8Array {
  if ('truncatedTo' in change) return resized(bytes, change.truncatedTo);
  if (change.bytes.length === 0) return bytes;
  const result =
    change.at + change.bytes.length > bytes.length ? resized(bytes, change.at + change.bytes.length) : bytes;
  result.set(change.bytes, change.at);
  return result;
}

class SimulatedDirectory {
  durable = new Map<string, Node>();
  entries = new Map<string, Node>();
  pending: NameChange[] = [];

  change(change: NameChange): void {
    rename(this.entries, change);
    this.pending.push(change);
  }

  sync(): void {
    this.durable = new Map(this.entries);
    this.pending = [];
  }

  settle(): void {
    this.sync();
    for (const node of this.entries.values()) {
      if (node instanceof SimulatedDirectory) node.settle();
      else node.sync();
    }
  }

  /** The same with all below it, for another process; `copies` of nodes that were met already. */
  copy(copies: Map<Node, Node>): SimulatedDirectory {
    const next = new SimulatedDirectory();
    const copyOf = (node: Node): Node => {
      const copy = copies.get(node) ?? node.copy(copies);
      copies.set(node, copy);
      return copy;
    };
    for (const [name, node] of this.entries) next.entries.set(name, copyOf(node));
    for (const [name, node] of this.durable) next.durable.set(name, copyOf(node));
    next.pending = this.pending.map((change) =>
      change.node === undefined ? change : { ...change, node: copyOf(change.node) },
    );
    return next;
  }

  after(fate: Fate, random: Random): SimulatedDirectory {
    const next = new SimulatedDirectory();
    for (const [name, node] of this.#names(fate, random)) next.entries.set(name, node.after(fate, random));
    next.durable = new Map(next.entries);
    return next;
  }

  #names(fate: Fate, random: Random): Map<string, Node> {
    if (fate === 'everything' || fate === 'names') return this.entries;
    if (fate === 'nothing' || fate === 'data') return this.durable;
    const names = new Map(this.durable);
    const count = fate === 'prefix' ? random(this.pending.length + 1) : this.pending.length;
    for (const change of this.pending.slice(0, count)) {
      if (fate === 'prefix' || random(2) === 0) rename(names, change);
    }
    return names;
  }
}

function rename(names: Map<string, Node>, { removed, name, node }: NameChange): void {
  if (removed !== undefined) names.delete(removed);
  if (name !== undefined) names.set(name, node!);
}

interface Descriptor {
  readonly file: SimulatedFile;
  readonly path: string;
  readonly thread: number;
}

export class SimulatedDisk implements Disk {
  /** Calls so far that change something or make it durable. */
  calls = 0;
  /** Asked before each such call. */
  onCall: ((name: string, path: string) => void) | undefined;
  /** The errno, 0 = none, that such a call is to fail with. */
  fault: ((name: string, path: string) => number) | undefined;
  /** Bytes that its files may have in all. */
  capacity = Number.POSITIVE_INFINITY;
  /** Of a write in whose call {@link onCall} throws: how much of it is there nevertheless. */
  tornFraction = 0;
  #root = new SimulatedDirectory();
  /** Who makes the calls: descriptors belong to a thread. */
  thread = 0;
  #descriptors: (Descriptor | undefined)[] = [];

  /** What the next boot finds. `fate` is one of them, or else follows from the seed too. */
  crash(seed: number, fate?: Fate): this {
    const random = seeded(seed);
    const chosen = FATES[random(FATES.length)]!;
    return this.#with(this.#root.after(fate ?? chosen, random));
  }

  /** What the next process finds when only this one was killed: what is not durable is still not. */
  kill(): this {
    return this.#with(this.#root.copy(new Map()));
  }

  /** Only a thread ends, and its descriptors are closed. */
  endOfThread(thread: number): void {
    this.#descriptors = this.#descriptors.map((entry) => (entry?.thread === thread ? undefined : entry));
  }

  #with(root: SimulatedDirectory): this {
    const next = new (this.constructor as new () => this)();
    next.#root = root;
    return next;
  }

  /** Paths of all files, sorted. */
  files(): string[] {
    const walk = (directory: SimulatedDirectory, path: string): string[] =>
      [...directory.entries].flatMap(([name, node]) =>
        node instanceof SimulatedDirectory ? walk(node, `${path}${name}/`) : [path + name],
      );
    return walk(this.#root, '').sort();
  }

  /** The bytes of a file as they are now; not to be changed. */
  read(path: string): Uint8Array {
    const file = this.#find(path);
    if (!(file instanceof SimulatedFile)) throw new Error(`no file ${path}`);
    file.isShared = true;
    return file.data;
  }

  /** Replaces a file's bytes durably, as rot does. */
  rot(path: string, bytes: Uint8Array): void {
    const directory = this.#parent(path);
    if (directory === undefined) throw new Error(`no directory of ${path}`);
    directory.change({ name: baseName(path), node: new SimulatedFile(bytes) });
    directory.sync();
  }

  open(path: string, mode: 'read' | 'write' | 'create'): number {
    const failed = mode === 'create' ? this.#step('create', path) : 0;
    if (failed < 0) return failed;
    let file = this.#find(path);
    if (mode === 'create') {
      if (file !== undefined) return -EEXIST;
      const parent = this.#parent(path);
      if (parent === undefined) return -ENOENT;
      file = new SimulatedFile(new Uint8Array(0));
      parent.change({ name: baseName(path), node: file });
    }
    if (file === undefined) return -ENOENT;
    if (file instanceof SimulatedDirectory) return -EISDIR;
    this.#descriptors.push({ file, path, thread: this.thread });
    return this.#descriptors.length - 1;
  }

  close(descriptor: number): void {
    this.#opened(descriptor);
    this.#descriptors[descriptor] = undefined;
  }

  pread(descriptor: number, u8: Uint8Array, start: number, length: number, position: number): number {
    const { data } = this.#opened(descriptor).file;
    const part = data.subarray(Math.min(position, data.length), Math.min(position + length, data.length));
    u8.set(part, start);
    return part.length;
  }

  pwrite(descriptor: number, u8: Uint8Array, start: number, length: number, position: number): number {
    const { file, path } = this.#opened(descriptor);
    let written = Math.floor(length * this.tornFraction);
    try {
      const failed = this.#step('pwrite', path) || this.#growth(position + length - file.data.length);
      written = failed < 0 ? length >> 1 : length;
      return failed < 0 ? failed : length;
    } finally {
      if (written > 0) file.write(position, u8.slice(start, start + written));
    }
  }

  writev(descriptor: number, parts: readonly Uint8Array[], position: number): number {
    const whole = Buffer.concat(parts);
    return this.pwrite(descriptor, whole, 0, whole.length, position);
  }

  truncate(descriptor: number, bytes: number): number {
    const { file, path } = this.#opened(descriptor);
    const failed = this.#step('truncate', path);
    if (failed < 0) return failed;
    if (bytes !== file.data.length) file.truncate(bytes);
    return 0;
  }

  allocate(descriptor: number, bytes: number): number {
    const { file, path } = this.#opened(descriptor);
    const growth = bytes - file.data.length;
    const failed = this.#step('allocate', path) || this.#growth(growth);
    if (failed === 0 && growth > 0) file.write(file.data.length, new Uint8Array(growth));
    return failed;
  }

  statOpen(descriptor: number): OpenStatus {
    const { data, changes } = this.#opened(descriptor).file;
    return { bytes: data.length, seconds: 1e9, nanoseconds: changes };
  }

  /** How much of a file is there before it is synced is open anyway. */
  startWriting(descriptor: number): number {
    return this.#step('startWriting', this.#opened(descriptor).path);
  }

  fdatasync(descriptor: number): number {
    const { file, path } = this.#opened(descriptor);
    const failed = this.#step('fdatasync', path);
    if (failed < 0) return failed;
    file.sync();
    return 0;
  }

  list(path: string): string[] | number {
    const directory = this.#find(path);
    if (directory === undefined) return -ENOENT;
    return directory instanceof SimulatedDirectory ? [...directory.entries.keys()].sort() : -ENOTDIR;
  }

  stat(path: string): FileStatus | number {
    const node = this.#find(path);
    if (node === undefined) return -ENOENT;
    const directory = node instanceof SimulatedDirectory;
    return { bytes: directory ? 0 : node.data.length, directory };
  }

  mkdir(path: string): number {
    const failed = this.#step('mkdir', path);
    if (failed < 0) return failed;
    const parent = this.#parent(path);
    if (parent === undefined) return -ENOENT;
    if (parent.entries.has(baseName(path))) return -EEXIST;
    parent.change({ name: baseName(path), node: new SimulatedDirectory() });
    return 0;
  }

  rmdir(path: string): number {
    const failed = this.#step('rmdir', path);
    if (failed < 0) return failed;
    const node = this.#find(path);
    if (!(node instanceof SimulatedDirectory)) return node === undefined ? -ENOENT : -ENOTDIR;
    if (node.entries.size > 0) return -ENOTEMPTY;
    this.#parent(path)!.change({ removed: baseName(path) });
    return 0;
  }

  rename(from: string, to: string): number {
    const failed = this.#step('rename', to);
    if (failed < 0) return failed;
    const node = this.#find(from);
    const parent = this.#parent(from);
    if (node === undefined || parent === undefined) return -ENOENT;
    if (parent !== this.#parent(to)) throw new Error('the store renames within a directory only');
    parent.change({ removed: baseName(from), name: baseName(to), node });
    return 0;
  }

  unlink(path: string): number {
    const failed = this.#step('unlink', path);
    if (failed < 0) return failed;
    const node = this.#find(path);
    if (!(node instanceof SimulatedFile)) return node === undefined ? -ENOENT : -EISDIR;
    this.#parent(path)!.change({ removed: baseName(path) });
    return 0;
  }

  syncDirectory(path: string): number {
    const failed = this.#step('syncDirectory', path);
    if (failed < 0) return failed;
    const node = this.#find(path);
    if (!(node instanceof SimulatedDirectory)) return -ENOENT;
    node.sync();
    return 0;
  }

  syncAll(): number {
    const failed = this.#step('syncAll', '.');
    if (failed < 0) return failed;
    this.#root.settle();
    return 0;
  }

  space(): DiskSpace | number {
    return { bytes: 2 ** 40, freeBytes: Math.min(2 ** 39, Math.max(0, this.capacity - this.used)) };
  }

  /** Bytes that its files have in all. */
  get used(): number {
    const bytesOf = (node: Node): number =>
      node instanceof SimulatedFile
        ? node.data.length
        : [...node.entries.values()].reduce((sum, entry) => sum + bytesOf(entry), 0);
    return bytesOf(this.#root);
  }

  #growth(bytes: number): number {
    const isFull = bytes > 0 && Number.isFinite(this.capacity) && this.used + bytes > this.capacity;
    return isFull ? -ENOSPC : 0;
  }

  #step(name: string, path: string): number {
    this.calls++;
    this.onCall?.(name, path);
    return -(this.fault?.(name, path) ?? 0);
  }

  #opened(descriptor: number): Descriptor {
    const opened = this.#descriptors[descriptor];
    if (opened === undefined) throw new Error(`descriptor ${descriptor} is not open`);
    return opened;
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const name of path.split('/')) {
      if (name === '.') continue;
      node = node instanceof SimulatedDirectory ? node.entries.get(name) : undefined;
    }
    return node;
  }

  #parent(path: string): SimulatedDirectory | undefined {
    const parent = this.#find(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.');
    return parent instanceof SimulatedDirectory ? parent : undefined;
  }
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
