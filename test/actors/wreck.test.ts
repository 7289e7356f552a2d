/**
 * A thread ends in the middle of changing the tree, at any step. What inspectLocks says of it is checked against the
 * log: 'clean' tables are what a recovery from the log gives; others are that after they were made anew.
 */
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import type { Context, ThreadData } from '../../actors/context.ts';
import { type Rebuilt, rebuild } from '../../actors/io/rebuild.ts';
import { checkpoint, recover, startJournal } from '../../actors/io/recovery.ts';
import { TreeState } from '../../actors/io/tree-state.ts';
import { LogWriter } from '../../actors/log-writer.ts';
import { inspectLocks, tablesAreBroken } from '../../actors/main/wreck.ts';
import { JOURNAL, SLAB } from '../../actors/regions.ts';
import { openTree } from '../../actors/tree.ts';
import * as L from '../../fuse/namespace/layout.ts';
import { IndexState, type Namespace } from '../../fuse/namespace/namespace.ts';
import { Tables } from '../../fuse/namespace/tables.ts';
import { DataLocks } from '../../fuse/objects/data-locks.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import { systemClock } from '../../runtime/clock.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { continueJournal, JournalReader } from '../../runtime/storage/journal-ring.ts';
import type { StoreIdentity } from '../../runtime/storage/store.ts';
import { checkTables, listDirectory } from '../namespace/compare.ts';
import { seeded, testSeed } from '../seed.ts';
import { FaultyDisk } from '../storage/faulty-disk.ts';
import { take, World } from './world.ts';

const SEED = testSeed('threads that end in a mutation');
const DEATHS = Number(process.env.VEXFS_TEST_DEATHS ?? 40);
const OPERATIONS = 150;

const identity: StoreIdentity = { uuid: 'wreck', bytes: new Uint8Array(16).fill(7), created: '' };

/** The store as io-0 has it, on a disk in memory. */
class Store {
  readonly disk: FaultyDisk;
  readonly world = new World({ fuse: 1, io: 1, shards: 1 });
  readonly io: Context;
  readonly tree: TreeState;
  readonly log: LogWriter;
  journal: JournalReader;

  constructor(disk = new FaultyDisk()) {
    this.disk = disk;
    for (const name of ['log', 'checkpoint', 'objects']) disk.mkdir(name);
    disk.syncDirectory('.');
    const io = this.world.actor('io-0');
    this.io = { ...io, settings: { ...io.settings, identity } };
    this.tree = new TreeState(this.io);
    const recovered = recover(disk, identity, this.tree, systemClock);
    if (typeof recovered === 'string') throw new Error(recovered);
    const region = this.io.arena.region(JOURNAL);
    startJournal(region, recovered, systemClock);
    this.journal = new JournalReader(region);
    const { lastLsn, nextSequence } = recovered;
    this.log = new LogWriter(disk, { uuid: identity.bytes, segmentBytes: 2 ** 20, nextSequence, lastLsn });
  }

  get tables(): Tables {
    const { arena } = this.io;
    return new Tables(arena, new SlabAllocator(arena.region(SLAB)));
  }

  flush(): void {
    expect(this.log.append(this.journal, this.journal.published())).toBe(0);
    expect(this.log.sync()).toBe(0);
  }

  rebuild(disk: Disk = this.disk): Rebuilt {
    const lastLsn = this.log.durableLsn;
    const rebuilt = rebuild(this.io, disk, lastLsn);
    if (typeof rebuilt === 'string') throw new Error(rebuilt);
    continueJournal(this.io.arena.region(JOURNAL), lastLsn + 1);
    this.tree.rebuilt(rebuilt);
    return rebuilt;
  }

  checkpoint(): void {
    expect(checkpoint(this.disk, identity, this.tree, this.log.durableLsn, systemClock)).toBe(0);
  }
}

class Ended extends Error {}

/** The disk of a thread that ends before it has read so many more times. */
function endsAtRead(disk: FaultyDisk, reads: number): Disk {
  let left = reads;
  return new Proxy<Disk>(disk, {
    get(target, property: keyof Disk) {
      if (property === 'pread' && left-- === 0) {
        return () => {
          throw new Ended();
        };
      }
      return target[property]?.bind(target);
    },
  });
}

/** Runs the thread to where it stops, or to its end, and ends it: its id. */
async function runAndEnd(data: ThreadData, seed: number, diesAt: number, inside: boolean): Promise<number> {
  const control = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL('./wreck-thread.js', import.meta.url), {
    workerData: { data, control, seed, diesAt, inside, operations: OPERATIONS },
  });
  const { threadId } = worker;
  let failure: Error | undefined;
  worker.on('error', (error) => {
    failure = error;
  });
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  while (Atomics.load(control, 0) === 0 && failure === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await worker.terminate();
  await exited;
  if (failure) throw failure;
  return threadId;
}

/** Everything that has a name, as text: what a recovery must give. */
function describeTree(namespace: Namespace): string[] {
  const lines: string[] = [];
  const attr = new Attr();
  const state = new IndexState();
  const out = new Uint8Array(70_000);
  const visit = (ino: number, path: string): void => {
    expect(namespace.stat(ino, attr)).toBe(0);
    const { mode, nlink, uid, gid, size, mtime, mtimeNs, ctime, ctimeNs, generation } = attr;
    namespace.indexState(ino, state);
    const isDirectory = (mode & L.S_IFMT) === L.S_IFDIR;
    const isLink = (mode & L.S_IFMT) === L.S_IFLNK;
    const read = isDirectory ? 0 : isLink ? namespace.readlink(ino, out, 0) : readFile(namespace, ino, out);
    const bytes = Buffer.from(out.subarray(0, Math.max(read, 0))).toString('base64');
    const facts = [
      ino,
      mode,
      nlink,
      uid,
      gid,
      size,
      mtime,
      mtimeNs,
      ctime,
      ctimeNs,
      generation,
      state.version,
    ];
    lines.push(
      `${path} ${facts.join()} ${read} ${namespace.objectOf(ino)} ${bytes} ${xattrs(namespace, ino)}`,
    );
    if (!isDirectory) return;
    for (const [name, child] of [...listDirectory(namespace, ino)].sort()) visit(child, `${path}/${name}`);
  };
  visit(1, '');
  lines.push(JSON.stringify(namespace.collections()));
  return lines;
}

function readFile(namespace: Namespace, ino: number, out: Uint8Array): number {
  return namespace.readInline(ino, 0, out.length, out, 0);
}

function xattrs(namespace: Namespace, ino: number): string {
  const out = new Uint8Array(70_000);
  const length = namespace.listxattr(ino, out, 0, out.length);
  const names = Buffer.from(out.subarray(0, length)).toString().split('\0').slice(0, -1).sort();
  return names
    .map((name) => {
      const u8 = Buffer.from(name);
      const bytes = namespace.getxattr(ino, u8, 0, u8.length, out, 0, out.length);
      return `${name}=${Buffer.from(out.subarray(0, bytes)).toString('base64')}`;
    })
    .join();
}

/** Inodes that live on without a name, with generation and lookups. */
function unnamed(t: Tables): string[] {
  const found: string[] = [];
  for (let ino = 1; ino < t.header[L.H_INODES_END]!; ino++) {
    const at = ino * L.INODE_WORDS;
    if (t.inode[at + L.I_MODE] === 0 || t.inode[at + L.I_NLINK] !== 0) continue;
    found.push([ino, t.inode[at + L.I_GENERATION], t.inode[at + L.I_LOOKUPS]].join(':'));
  }
  return found;
}

/** What the kernel holds, as the atomic counters say whatever else is in the tables. */
function held(t: Tables): string[] {
  const found: string[] = [];
  for (let ino = 1; ino < t.header[L.H_INODES_END]!; ino++) {
    const lookups = t.inode[ino * L.INODE_WORDS + L.I_LOOKUPS]!;
    if (lookups > 0) found.push([ino, t.inode[ino * L.INODE_WORDS + L.I_GENERATION], lookups].join(':'));
  }
  return found;
}

test('a thread that ends at any step of a mutation: the verdict is right, and the tables are what the log says', async () => {
  const random = seeded(SEED);
  const verdicts = { clean: 0, tables: 0 };
  let store = new Store();
  let worst = 0;
  for (let death = 0; death < DEATHS; death++) {
    const data = { ...store.io.settings, name: 'fuse-0' };
    const seed = random(2 ** 31);
    const inside = random(4) > 0;
    const dead = await runAndEnd(data, seed, 1 + random(inside ? 400 : 4000), inside);
    const verdict = inspectLocks(store.io, dead);
    verdicts[verdict]++;
    expect(tablesAreBroken(store.io)).toBe(verdict === 'tables');
    const before = held(store.tables);
    store.flush();
    if (verdict === 'tables') {
      // io-0 ends in the middle of it, once or twice; its successor begins again.
      for (let ends = random(3); ends > 0; ends--) {
        expect(() => store.rebuild(endsAtRead(store.disk, random(6)))).toThrow(Ended);
        expect(inspectLocks(store.io, dead)).toBe('tables');
      }
      const { lost, milliseconds } = store.rebuild();
      expect(lost).toBe(0);
      worst = Math.max(worst, milliseconds);
    }
    expect(tablesAreBroken(store.io)).toBe(false);
    const { namespace } = openTree(store.io);
    expect(held(store.tables)).toEqual(before);
    expect(unnamed(store.tables).every((entry) => verdict === 'clean' || before.includes(entry))).toBe(true);
    checkTables(store.tables);
    const again = new Store(store.disk.crash(random(2 ** 31)));
    expect(describeTree(namespace)).toEqual(describeTree(openTree(again.io).namespace));
    // Nothing is left that anybody would wait for.
    const locks = new DataLocks(store.io.arena);
    for (let stripe = 0; stripe < 256; stripe++) {
      locks.lock(stripe);
      locks.unlock(stripe);
    }
    const u8 = Buffer.from('after');
    expect(namespace.create(1, u8, 0, 5, 0o100644, 0, 0, 0)).toBeGreaterThan(0);
    expect(namespace.unlink(1, u8, 0, 5)).toBe(0);
    store.flush();
    if (death % 5 === 4) {
      openTree(store.io).slab.flush();
      const expected = describeTree(namespace);
      store.checkpoint();
      store = new Store(store.disk.crash(random(2 ** 31)));
      expect(describeTree(openTree(store.io).namespace)).toEqual(expected);
    }
    take(store.world.actor('shard-0'));
  }
  console.log(`${JSON.stringify(verdicts)}, made anew in ${Math.round(worst)} ms at most`);
  expect(Math.min(verdicts.clean, verdicts.tables)).toBeGreaterThan(3);
}, 300_000);
