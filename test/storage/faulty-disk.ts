/**
 * A disk in memory that does what real ones may do. Written bytes and names are volatile until they are
 * synced; `crash(seed)` gives the disk as the next boot may find it: of the unsynced writes to a file each
 * 512-byte sector survives or not by itself, its length lies anywhere between the durable and the latest one,
 * and of the unsynced changes to a directory some prefix survives.
 */
import { EEXIST, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY } from '../../runtime/errno.ts';
import type { Disk, DiskSpace, FileStatus, OpenStatus } from '../../runtime/storage/disk.ts';
import { seeded } from './views.ts';

const SECTOR = 512;

export class PowerCut extends Error {}

class File {
  data = new Uint8Array(0);
  durable = new Uint8Array(0);
  readonly dirty = new Set<number>();
  /** How often it was changed: its time, in nanoseconds. */
  changes = 0;
}

class Directory {
  entries = new Map<string, File | Directory>();
  durable = new Map<string, File | Directory>();
  /** Unsynced states of `entries`, oldest first. */
  history: Map<string, File | Directory>[] = [];

  changed(): void {
    this.history.push(new Map(this.entries));
  }
}

export class FaultyDisk implements Disk {
  /** Calls that change something or make it durable, so far. */
  calls = 0;
  readonly log: string[] = [];
  /** Before call n (counted from 1) the power goes. */
  cutAt = 0;
  /** errno by call number. */
  readonly failures = new Map<number, number>();
  /** Fails every call whose name it accepts. */
  failing: ((name: string, path: string) => number) | undefined;
  /** Asked before each call that changes something; ends the thread by throwing. */
  mortality: { step(): void; readonly tornFraction: number } | undefined;
  #root = new Directory();
  /** Who makes the calls: descriptors belong to a thread. */
  thread = 0;
  #descriptors: ({ file: File | Directory; path: string; thread: number } | undefined)[] = [
    undefined,
    undefined,
    undefined,
  ];

  /** What the next boot finds after a power cut. */
  crash(seed: number): FaultyDisk {
    const next = new FaultyDisk();
    next.#root = survivors(this.#root, seeded(seed));
    return next;
  }

  /** The same disk as it is now, for a process of its own. */
  copy(): FaultyDisk {
    const next = new FaultyDisk();
    next.#root = copyOf(this.#root) as Directory;
    return next;
  }

  /** Only the process dies: nothing is lost, nothing becomes durable, no call fails any more. */
  kill(): void {
    this.#descriptors = [undefined, undefined, undefined];
    this.cutAt = 0;
    this.failures.clear();
    this.failing = undefined;
  }

  /** Only a thread ends, and its descriptors are closed. */
  endOfThread(thread: number): void {
    this.#descriptors = this.#descriptors.map((entry) => (entry?.thread === thread ? undefined : entry));
  }

  /** Direct access for tests: the bytes of a file as they are now. */
  read(path: string): Uint8Array {
    const file = this.#find(path);
    if (!(file instanceof File)) throw new Error(`no file ${path}`);
    return file.data;
  }

  /** Replaces a file's bytes durably, as rot does. */
  rot(path: string, bytes: Uint8Array): void {
    const file = this.#find(path);
    if (!(file instanceof File)) throw new Error(`no file ${path}`);
    file.data = bytes.slice();
    file.durable = bytes.slice();
    file.dirty.clear();
  }

  open(path: string, mode: 'read' | 'write' | 'create'): number {
    if (mode === 'create') {
      const failed = this.#step('create', path);
      if (failed < 0) return failed;
    }
    let file = this.#find(path);
    if (mode === 'create') {
      if (file !== undefined) return -EEXIST;
      const parent = this.#parent(path);
      if (parent === undefined) return -ENOENT;
      file = new File();
      parent.entries.set(baseName(path), file);
      parent.changed();
    }
    if (file === undefined) return -ENOENT;
    this.#descriptors.push({ file, path, thread: this.thread });
    return this.#descriptors.length - 1;
  }

  close(descriptor: number): void {
    if (this.#descriptors[descriptor] === undefined) throw new Error('closed twice');
    this.#descriptors[descriptor] = undefined;
  }

  pread(descriptor: number, u8: Uint8Array, start: number, length: number, position: number): number {
    const { data } = this.#file(descriptor).file;
    const part = data.subarray(Math.min(position, data.length), Math.min(position + length, data.length));
    u8.set(part, start);
    return part.length;
  }

  pwrite(descriptor: number, u8: Uint8Array, start: number, length: number, position: number): number {
    const { file, path } = this.#file(descriptor);
    try {
      const failed = this.#step('pwrite', path);
      if (failed < 0) return failed;
    } catch (death) {
      this.#put(file, u8, start, Math.floor(length * (this.mortality?.tornFraction ?? 0)), position);
      throw death;
    }
    return this.#put(file, u8, start, length, position);
  }

  #put(file: File, u8: Uint8Array, start: number, length: number, position: number): number {
    if (length === 0) return 0;
    file.changes++;
    grow(file, position + length);
    file.data.set(u8.subarray(start, start + length), position);
    const last = Math.floor((position + length - 1) / SECTOR);
    for (let sector = Math.floor(position / SECTOR); sector <= last; sector++) file.dirty.add(sector);
    return length;
  }

  writev(descriptor: number, parts: readonly Uint8Array[], position: number): number {
    const total = parts.reduce((sum, part) => sum + part.length, 0);
    const whole = new Uint8Array(total);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return this.pwrite(descriptor, whole, 0, total, position);
  }

  truncate(descriptor: number, bytes: number): number {
    const { file, path } = this.#file(descriptor);
    const failed = this.#step('truncate', path);
    if (failed < 0) return failed;
    file.changes++;
    if (bytes > file.data.length) grow(file, bytes);
    else file.data = file.data.slice(0, bytes);
    return 0;
  }

  statOpen(descriptor: number): OpenStatus {
    const { data, changes } = this.#file(descriptor).file;
    return { bytes: data.length, seconds: 1e9, nanoseconds: changes };
  }

  fdatasync(descriptor: number): number {
    const { file, path } = this.#file(descriptor);
    const failed = this.#step('fdatasync', path);
    if (failed < 0) return failed;
    file.durable = file.data.slice();
    file.dirty.clear();
    return 0;
  }

  list(path: string): string[] | number {
    const directory = this.#find(path);
    if (directory === undefined) return -ENOENT;
    return directory instanceof Directory ? [...directory.entries.keys()].sort() : -ENOTDIR;
  }

  stat(path: string): FileStatus | number {
    const found = this.#find(path);
    if (found === undefined) return -ENOENT;
    return { bytes: found instanceof File ? found.data.length : 0, directory: found instanceof Directory };
  }

  mkdir(path: string): number {
    const failed = this.#step('mkdir', path);
    if (failed < 0) return failed;
    const parent = this.#parent(path);
    if (parent === undefined) return -ENOENT;
    if (parent.entries.has(baseName(path))) return -EEXIST;
    parent.entries.set(baseName(path), new Directory());
    parent.changed();
    return 0;
  }

  rmdir(path: string): number {
    const failed = this.#step('rmdir', path);
    if (failed < 0) return failed;
    const found = this.#find(path);
    if (!(found instanceof Directory)) return found === undefined ? -ENOENT : -ENOTDIR;
    if (found.entries.size > 0) return -ENOTEMPTY;
    this.#parent(path)!.entries.delete(baseName(path));
    this.#parent(path)!.changed();
    return 0;
  }

  rename(from: string, to: string): number {
    const failed = this.#step('rename', to);
    if (failed < 0) return failed;
    const found = this.#find(from);
    const parent = this.#parent(from);
    if (found === undefined || parent === undefined) return -ENOENT;
    if (parent !== this.#parent(to)) throw new Error('the store renames within a directory only');
    parent.entries.delete(baseName(from));
    parent.entries.set(baseName(to), found);
    parent.changed();
    return 0;
  }

  unlink(path: string): number {
    const failed = this.#step('unlink', path);
    if (failed < 0) return failed;
    const found = this.#find(path);
    if (!(found instanceof File)) return found === undefined ? -ENOENT : -EISDIR;
    this.#parent(path)!.entries.delete(baseName(path));
    this.#parent(path)!.changed();
    return 0;
  }

  syncDirectory(path: string): number {
    const failed = this.#step('syncDirectory', path);
    if (failed < 0) return failed;
    const found = this.#find(path);
    if (!(found instanceof Directory)) return -ENOENT;
    found.durable = new Map(found.entries);
    found.history = [];
    return 0;
  }

  syncAll(): number {
    const failed = this.#step('syncAll', '.');
    if (failed < 0) return failed;
    settle(this.#root);
    return 0;
  }

  space(): DiskSpace | number {
    return { bytes: 2 ** 40, freeBytes: 2 ** 39 };
  }

  #step(name: string, path: string): number {
    this.mortality?.step();
    this.calls++;
    this.log.push(`${name} ${path}`);
    if (this.calls === this.cutAt) throw new PowerCut(`before call ${this.calls}: ${name} ${path}`);
    return -(this.failures.get(this.calls) ?? this.failing?.(name, path) ?? 0);
  }

  #file(descriptor: number): { file: File; path: string } {
    const entry = this.#descriptors[descriptor];
    if (!(entry?.file instanceof File)) throw new Error(`bad descriptor ${descriptor}`);
    return { file: entry.file, path: entry.path };
  }

  #find(path: string): File | Directory | undefined {
    let found: File | Directory | undefined = this.#root;
    for (const name of path.split('/')) {
      if (name === '.') continue;
      found = found instanceof Directory ? found.entries.get(name) : undefined;
    }
    return found;
  }

  #parent(path: string): Directory | undefined {
    const parent = this.#find(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.');
    return parent instanceof Directory ? parent : undefined;
  }
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function grow(file: File, bytes: number): void {
  if (bytes <= file.data.length) return;
  const data = new Uint8Array(bytes);
  data.set(file.data);
  file.data = data;
}

function settle(directory: Directory): void {
  directory.durable = new Map(directory.entries);
  directory.history = [];
  for (const entry of directory.entries.values()) {
    if (entry instanceof Directory) settle(entry);
    else {
      entry.durable = entry.data.slice();
      entry.dirty.clear();
    }
  }
}

function survivors(directory: Directory, random: (bound: number) => number): Directory {
  const kept = random(directory.history.length + 1);
  const entries = kept === 0 ? directory.durable : directory.history[kept - 1]!;
  const next = new Directory();
  for (const [name, entry] of entries) {
    next.entries.set(
      name,
      entry instanceof Directory ? survivors(entry, random) : survivingFile(entry, random),
    );
  }
  next.durable = new Map(next.entries);
  return next;
}

function survivingFile(file: File, random: (bound: number) => number): File {
  const next = new File();
  const low = Math.min(file.durable.length, file.data.length);
  const high = Math.max(file.durable.length, file.data.length);
  const length = low + random(high - low + 1);
  next.data = new Uint8Array(length);
  next.data.set(file.durable.subarray(0, length));
  for (const sector of file.dirty) {
    if (random(2) === 0) continue;
    const start = sector * SECTOR;
    if (start < length) next.data.set(file.data.subarray(start, Math.min(start + SECTOR, length)), start);
  }
  next.durable = next.data.slice();
  return next;
}

/** Without the history of unsynced changes: the copy is not for power cuts. */
function copyOf(node: File | Directory): File | Directory {
  if (node instanceof File) {
    const file = new File();
    file.data = node.data.slice();
    file.durable = node.durable.slice();
    file.changes = node.changes;
    return file;
  }
  const directory = new Directory();
  for (const [name, child] of node.entries) directory.entries.set(name, copyOf(child));
  directory.durable = new Map(directory.entries);
  return directory;
}
