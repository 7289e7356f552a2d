/**
 * One program that uses the mount while its actors fail: it knows what each of its files must hold, and looks. A call that
 * fails with EIO may have happened or not; then either is right, and what is found counts from there on.
 *
 * Arguments: kind, directory of its own (in the mount), store, seed. Told over IPC: "end", "verify" (after the next
 * mount), "exit".
 */
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { ControlClient } from '../../cli/client.ts';
import { getXattr, setXattr } from '../../runtime/system/xattr.ts';
import { BulkClient } from './chaos-bulk.ts';
import {
  attempt,
  type Client,
  codeOf,
  directory,
  insist,
  kind,
  nearest,
  problem,
  random,
  report,
  reportNowAndThen,
  settle,
  store,
  TRIES,
  tally,
  timed,
} from './chaos-calls.ts';

const O_DIRECT = 0o40000;
const FILES = 12;
const SIZE_MAX = 200_000;
const WRITE_MAX = 60_000;
const DIMENSION = 8;

/** The file as VexFS has it, past the kernel's cache. */
function readThrough(path: string): Buffer {
  return insist(`read ${path}`, () => {
    const descriptor = openSync(path, constants.O_RDONLY | O_DIRECT);
    try {
      const bytes = Buffer.alloc(SIZE_MAX + WRITE_MAX + 4096);
      let length = 0;
      for (;;) {
        const got = readSync(descriptor, bytes, length, bytes.length - length, length);
        if (got === 0) return bytes.subarray(0, length);
        length += got;
      }
    } finally {
      closeSync(descriptor);
    }
  });
}

// -------------------------------------------------------------- data: write, truncate, fsync, read

interface DataFile {
  now: Buffer;
  /** Nothing was changed since the last fsync that succeeded. */
  isDurable: boolean;
}

class DataClient implements Client {
  readonly #files: DataFile[] = [];

  prepare(): void {
    for (let i = 0; i < FILES; i++) {
      writeFileSync(this.#path(i), '');
      this.#files.push({ now: Buffer.alloc(0), isDurable: false });
    }
  }

  step(): void {
    const i = random(FILES);
    const file = this.#files[i]!;
    const what = random(10);
    if (what < 5) this.#write(i, file);
    else if (what < 6) this.#truncate(i, file);
    else if (what < 8) this.#sync(i, file);
    else this.#check(i, file);
  }

  verify(isRemounted: boolean): void {
    this.#files.forEach((file, i) => {
      if (!isRemounted || file.isDurable) this.#check(i, file);
    });
  }

  #path(i: number): string {
    return join(directory, `data-${i}`);
  }

  #check(i: number, { now }: DataFile): void {
    const found = readThrough(this.#path(i));
    if (found.equals(now)) return;
    const at = found.findIndex((byte, n) => byte !== now[n]);
    problem(`data-${i} has ${found.length} bytes instead of ${now.length}, and differs from byte ${at} on`);
  }

  #write(i: number, file: DataFile): void {
    const at = random(Math.min(SIZE_MAX, file.now.length + 5000));
    const bytes = Buffer.alloc(1 + random(random(4) === 0 ? WRITE_MAX : 3000), random(255) + 1);
    const next = Buffer.alloc(Math.max(file.now.length, at + bytes.length));
    file.now.copy(next);
    bytes.copy(next, at);
    this.#change(i, file, next, 'write', (descriptor) => writeSync(descriptor, bytes, 0, bytes.length, at));
  }

  #truncate(i: number, file: DataFile): void {
    const next = Buffer.alloc(random(SIZE_MAX));
    file.now.copy(next);
    this.#change(i, file, next, 'truncate', (descriptor) => ftruncateSync(descriptor, next.length));
  }

  #change(i: number, file: DataFile, next: Buffer, what: string, call: (descriptor: number) => void): void {
    const descriptor = insist(`open data-${i}`, () => openSync(this.#path(i), 'r+'));
    file.isDurable = false;
    const isDone = attempt(`${what} data-${i}`, () => call(descriptor));
    closeSync(descriptor);
    if (isDone) {
      file.now = next;
      return;
    }
    settle();
    const found = readThrough(this.#path(i));
    const isOneOf = (byte: number, n: number): boolean => byte === (file.now[n] ?? 0) || byte === next[n];
    if (![file.now.length, next.length].includes(found.length) || !found.every(isOneOf)) {
      problem(`data-${i} after a ${what} that failed is neither as before nor as after`);
    }
    file.now = Buffer.from(found);
  }

  #sync(i: number, file: DataFile): void {
    const descriptor = insist(`open data-${i}`, () => openSync(this.#path(i), 'r'));
    if (attempt(`fsync data-${i}`, () => fsyncSync(descriptor))) file.isDurable = true;
    closeSync(descriptor);
  }
}

// -------------------------------------------------------------- names: create, rename, remove, link

/** What a name is: absent, a directory, or a file or link with this content. */
type Entry = string | undefined;

class NamesClient implements Client {
  #names = new Map<string, Entry>();
  /** As of the last fsync that succeeded, if nothing was changed since. */
  #isDurable = false;
  #serial = 0;

  prepare(): void {}

  step(): void {
    const [a, b] = [`n${random(40)}`, `n${random(40)}`];
    const what = random(12);
    if (what < 4) this.#create(a);
    else if (what < 6) this.#rename(a, b);
    else if (what < 9) this.#remove(a);
    else if (what < 10) this.#change('mkdir', { [a]: this.#names.get(a) ?? 'dir' }, () => this.#mkdir(a));
    else if (what < 11) this.#sync();
    else if (random(5) === 0) this.verify(false);
  }

  verify(isRemounted: boolean): void {
    if (isRemounted && !this.#isDurable) return;
    const expected = [...this.#names].filter(([, entry]) => entry !== undefined).map(([name]) => name);
    const found = insist('readdir', () => readdirSync(directory));
    if (found.toSorted().join() !== expected.toSorted().join()) {
      problem(`the directory has ${found.toSorted().join()} instead of ${expected.toSorted().join()}`);
    }
    for (const name of expected) {
      const entry = this.#look(name);
      if (entry !== this.#names.get(name)) problem(`${name} is ${entry}, not ${this.#names.get(name)}`);
    }
  }

  #path(name: string): string {
    return join(directory, name);
  }

  #look(name: string): Entry {
    const path = this.#path(name);
    return insist(`look at ${name}`, () => {
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (!stat) return undefined;
      if (stat.isDirectory()) return 'dir';
      return stat.isSymbolicLink() ? `link ${readlinkSync(path)}` : readFileSync(path, 'utf8');
    });
  }

  /** Runs a call after which the names are as in `after`, or, if it fails with EIO, as they were. */
  #change(what: string, after: Record<string, Entry>, call: () => void): void {
    const names = Object.keys(after);
    const before = names.map((name) => this.#names.get(name));
    this.#isDurable = false;
    if (attempt(`${what} ${names.join(' ')}`, call)) {
      for (const name of names) this.#names.set(name, after[name]);
      return;
    }
    settle();
    const found = names.map((name) => this.#look(name));
    const isBefore = found.every((entry, i) => entry === before[i]);
    const isAfter = found.every((entry, i) => entry === after[names[i]!]);
    if (!isBefore && !isAfter) {
      const wanted = names.map((name) => after[name]);
      problem(`${what} ${names.join(' ')} failed, and left [${found}], neither [${before}] nor [${wanted}]`);
    }
    names.forEach((name, i) => {
      this.#names.set(name, found[i]);
    });
  }

  #create(name: string): void {
    if (this.#names.get(name) !== undefined) return;
    const path = this.#path(name);
    const content = `content ${++this.#serial}`;
    if (random(4) === 0) {
      this.#change('symlink', { [name]: `link ${content}` }, () => symlinkSync(content, path));
      return;
    }
    this.#change('create', { [name]: '' }, () => closeSync(openSync(path, 'wx')));
    if (this.#names.get(name) !== '') return;
    this.#change('write', { [name]: content }, () => {
      const descriptor = openSync(path, 'r+');
      try {
        writeSync(descriptor, content);
      } finally {
        closeSync(descriptor);
      }
    });
  }

  #mkdir(name: string): void {
    if (this.#names.get(name) === undefined) mkdirSync(this.#path(name));
  }

  #rename(from: string, to: string): void {
    const entry = this.#names.get(from);
    const other = this.#names.get(to);
    // A directory goes over an empty directory only, and nothing else over a directory.
    if (
      entry === undefined ||
      from === to ||
      (other !== undefined && (entry === 'dir') !== (other === 'dir'))
    )
      return;
    this.#change('rename', { [from]: undefined, [to]: entry }, () =>
      renameSync(this.#path(from), this.#path(to)),
    );
  }

  #remove(name: string): void {
    const entry = this.#names.get(name);
    if (entry === undefined) return;
    const path = this.#path(name);
    this.#change('remove', { [name]: undefined }, () =>
      entry === 'dir' ? rmdirSync(path) : unlinkSync(path),
    );
  }

  #sync(): void {
    const descriptor = insist('open the directory', () => openSync(directory, 'r'));
    if (attempt('fsync of the directory', () => fsyncSync(descriptor))) this.#isDurable = true;
    closeSync(descriptor);
  }
}

// -------------------------------------------------------------- vectors: set, search; a search through the mount

class VectorsClient implements Client {
  readonly #vectors = new Map<number, Float32Array>();
  #control: ControlClient | undefined;

  async prepare(): Promise<void> {
    for (let i = 0; i < FILES; i++)
      writeFileSync(this.#path(i), `passage ${i} about the sea and its ${i} ships`);
    this.#control = await ControlClient.connect(store);
  }

  async step(): Promise<void> {
    const what = random(6);
    if (what < 2) this.#set(random(FILES));
    else if (what < 5) await this.#search();
    else this.#searchThroughMount();
  }

  async verify(isRemounted: boolean): Promise<void> {
    if (isRemounted) return;
    for (const i of this.#vectors.keys()) await this.#find(i);
  }

  #path(i: number): string {
    return join(directory, `vector-${i}`);
  }

  #set(i: number): void {
    const next = Float32Array.from({ length: DIMENSION }, () => random(2000) / 1000 - 1);
    const before = this.#vectors.get(i);
    const result = timed(`set vector-${i}`, () =>
      setXattr(this.#path(i), 'user.vexfs.vector', new Uint8Array(next.buffer)),
    );
    if (result === 0) {
      this.#vectors.set(i, next);
      return;
    }
    tally.failed++;
    settle();
    const found = this.#get(i);
    const isBefore = before ? found?.every((x, n) => x === before[n]) : found === undefined;
    if (result !== -5) problem(`setting vector-${i} failed with ${result}`);
    if (!isBefore && !found?.every((x, n) => x === next[n])) problem(`vector-${i} is neither old nor new`);
    if (found) this.#vectors.set(i, found);
    else this.#vectors.delete(i);
  }

  #get(i: number): Float32Array | undefined {
    const bytes = new Uint8Array(DIMENSION * 4);
    for (let tried = 1; ; tried++) {
      const got = timed(`get vector-${i}`, () => getXattr(this.#path(i), 'user.vexfs.vector', bytes));
      if (got === bytes.length) return new Float32Array(bytes.buffer);
      if (got !== -5 || tried === TRIES) return undefined;
      settle();
    }
  }

  async #search(): Promise<void> {
    const known = [...this.#vectors.keys()];
    if (known.length > 0) await this.#find(known[random(known.length)]!);
  }

  async #find(i: number): Promise<void> {
    const vector = [...this.#vectors.get(i)!];
    const params = { collection: 'default', vector, k: 3 };
    const hits = await nearest(this.#control!, `search for vector-${i}`, params);
    const names = hits?.map(({ path }) => basename(path));
    if (names && names[0] !== `vector-${i}`) problem(`the nearest to vector-${i} is [${names}]`);
  }

  #searchThroughMount(): void {
    const path = join(directory, '..', '.vexfs', 'search', `ships at sea ${random(1000)}`);
    attempt('a search through the mount', () => {
      if (existsSync(path)) readdirSync(path);
    });
  }
}

// -------------------------------------------------------------- the program

const CLIENTS = { data: DataClient, names: NamesClient, vectors: VectorsClient, bulk: BulkClient };

async function main(): Promise<void> {
  const client: Client = new CLIENTS[kind]();
  let order = '';
  process.on('message', (message: string) => {
    order = message;
  });
  mkdirSync(directory);
  await client.prepare();
  report({ ready: true });
  try {
    while (order !== 'end') {
      await client.step();
      await new Promise(setImmediate);
      reportNowAndThen();
    }
    await client.verify(false);
  } catch (error) {
    // The mount was killed, on purpose or not: the test knows.
    if (codeOf(error) !== 'ENOTCONN') problem((error as Error).stack ?? String(error));
  }
  report({ ready: true });
  while (order !== 'verify') await new Promise((resume) => setTimeout(resume, 10));
  try {
    await client.verify(true);
  } catch (error) {
    problem((error as Error).stack ?? String(error));
  }
  report({ verified: true });
  process.disconnect();
  process.exit();
}

await main();
