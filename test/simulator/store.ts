/**
 * A store with everything that a mount does between a request and the disk, run on one thread: the real namespace,
 * journal, object files, io actors, checkpoints, segments and recovery, over a simulated disk and clock. Who acts next
 * is the caller's choice, so a workload has the same order of calls each time.
 */

import type { Ended } from '../../actors/checkpoint-order.ts';
import { FuseCommits } from '../../actors/fuse/commits.ts';
import { makeCheckpoint, settle } from '../../actors/io/background-checkpoint.ts';
import { newestCheckpoint } from '../../actors/io/checkpoint.ts';
import { CommitActor } from '../../actors/io/commit-actor.ts';
import { FlushActor } from '../../actors/io/flush-actor.ts';
import { DirtyObjects } from '../../actors/io/objects.ts';
import { checkpoint, type Recovered, recover, startJournal } from '../../actors/io/recovery.ts';
import { LogState } from '../../actors/log-state.ts';
import { LogWriter } from '../../actors/log-writer.ts';
import { CHECKPOINT, OBJECT_DIRTY, OBJECT_DROPPED, OBJECT_LOGGED, SYNC } from '../../actors/messages.ts';
import { endedOf, KEPT_PLAIN, PLAIN, Place } from '../../fuse/namespace/namespace.ts';
import { type Compressed, compressObject } from '../../fuse/objects/compress.ts';
import { Content } from '../../fuse/objects/content.ts';
import { DataLocks } from '../../fuse/objects/data-locks.ts';
import { ObjectFiles } from '../../fuse/objects/object-files.ts';
import { objectPath } from '../../fuse/objects/object-path.ts';
import { StagedSums } from '../../fuse/objects/staged-sums.ts';
import { type Summed, sumsOf } from '../../fuse/objects/summed-objects.ts';
import { SyncHabits } from '../../fuse/objects/sync-habits.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Arena } from '../../runtime/memory/arena.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { JournalReader, SPACE_ENOUGH } from '../../runtime/storage/journal-ring.ts';
import { STORE_DIRECTORIES, type StoreIdentity } from '../../runtime/storage/store.ts';
import { STORE_STATUS_BYTES, StoreStatus } from '../../runtime/storage/store-status.ts';
import { watchOf } from '../storage/space.ts';
import { sharedRegion } from '../storage/views.ts';
import { applyChange } from './apply.ts';
import { giveMemory, INODES, SLAB, takeMemory } from './memory.ts';
import type { Change } from './operations.ts';
import { SimulatedTree } from './tree.ts';

export const IDENTITY: StoreIdentity = {
  uuid: 'simulated',
  bytes: Uint8Array.from({ length: 16 }, (_, i) => i * 13 + 5),
  created: '',
};

/** Bytes of a file that lives in an object when it has more. */
export const INLINE_LIMIT = 200;
const COMMIT_MS = 1000;
/** Bytes of a file in one frame of a compressed object. */
const FRAME = 600;
const CAPACITY = { maxFiles: INODES, budget: SLAB, inlineLimit: INLINE_LIMIT };
const DESCRIPTORS = 4;
const LOGGED = 1100;
/** Zeros before the end of the log, bytes. */
const AHEAD = 2048;
/** What the log has reserved, bytes. */
const RESERVE = 64 << 10;
/** Of so many fsyncs one is left to io-0, as those of a busy or slow disk are. */
const SYNCS_PER_HAND_OVER = 3;
/** After one of so many changes an fsync is expected, which may come or not. */
const CHANGES_PER_EXPECTED = 3;

export interface StoreOptions {
  readonly disk: Disk;
  /** Milliseconds since the epoch; the store's clock starts here. */
  readonly now: number;
  /** io actors beside io-0. */
  readonly others: number;
  readonly segmentBytes: number;
  /** Bytes of a large file that are logged between two fsyncs. */
  readonly logged?: number | undefined;
  /** Mistakes that a simulation is to find. */
  readonly planted?: {
    readonly answersAtOnce?: boolean;
    readonly deletesAtOnce?: boolean;
    readonly forgetsLogged?: boolean;
    readonly redoesNothing?: boolean;
    readonly endsSegments?: boolean;
    readonly checkpointsAhead?: boolean;
    readonly redoesFlushed?: boolean;
    readonly placesWhatChanged?: boolean;
    readonly forgetsDirtied?: boolean;
    readonly fillsSegments?: boolean;
    readonly trustsBegun?: boolean;
    readonly changesSummed?: boolean;
    readonly keepsSums?: boolean;
    readonly comparesNothing?: boolean;
  };
}

/** The sentence with which a store refuses to be mounted. */
export class Refusal extends Error {}

type Message = readonly [kind: number, first: number, second: number];

export class SimulatedStore {
  readonly disk: Disk;
  readonly arena: Arena = takeMemory();
  readonly tree: SimulatedTree;
  readonly content: Content;
  readonly recovered: Recovered;
  readonly status = new StoreStatus(sharedRegion(STORE_STATUS_BYTES));
  now: number;
  /** LSN of the last record that an answered fsync vouches for, and errnos of those that failed. */
  acknowledged = 0;
  readonly failedSyncs: number[] = [];
  /** Commits that the fuse actor has made. */
  fuseCommits = 0;
  /** Called when a change waits until what the log has of it is durable. */
  onWait: () => void = () => {};
  /** Inodes held open, oldest first. */
  readonly held: number[] = [];
  readonly #planted: StoreOptions['planted'];
  readonly #reader: JournalReader;
  readonly #log: LogWriter;
  readonly #logState: LogState;
  readonly #fuse: FuseCommits;
  readonly #actors: (CommitActor | FlushActor)[] = [];
  readonly #mailboxes: Message[][] = [];
  readonly #habits: SyncHabits;
  readonly #staged: StagedSums;
  readonly #objects: ObjectFiles;
  readonly #message = new Uint32Array(4);
  /** LSN of the last record when each fsync was asked for. */
  readonly #syncs: number[] = [];
  /** Objects that were compressed, and checksums that were taken, and have not taken their places. */
  readonly #compressed: (Compressed | Summed)[] = [];
  /** Objects of which reading has found that they are damaged. */
  readonly damaged: string[] = [];
  #next = 0;

  /** Mounts. Throws a {@link Refusal}. */
  constructor(options: StoreOptions) {
    const { disk, others, segmentBytes } = options;
    this.disk = disk;
    this.now = options.now;
    this.#planted = options.planted;
    this.#habits = new SyncHabits(this.arena, options.logged ?? LOGGED);
    this.#everythingSynced();
    for (const name of STORE_DIRECTORIES) if (typeof disk.stat(name) === 'number') disk.mkdir(name);
    disk.syncDirectory('.');
    const clock: Clock = { now: () => this.now, monotonic: () => this.now };
    const journal = this.arena.region('journal');
    // A full journal wakes io-0, and the writer waits: here it is io-0's turn.
    const reader = { ring: () => this.run() };
    this.tree = new SimulatedTree(this.arena, disk, { inlineLimit: INLINE_LIMIT, clock }, reader);
    if (this.#planted?.redoesNothing) this.tree.objectWritten = () => {};
    if (this.#planted?.redoesFlushed) this.tree.objectFlushed = () => {};
    const recovered = recover(disk, IDENTITY, this.tree, clock);
    if (typeof recovered === 'string') throw new Refusal(recovered);
    this.recovered = recovered;
    this.status.write({ objectsLsn: recovered.lastLsn });
    startJournal(journal, recovered, clock);
    this.#reader = new JournalReader(journal);
    const { lastLsn, nextSequence } = recovered;
    this.#logState = LogState.alone();
    this.#log = new LogWriter(disk, {
      uuid: IDENTITY.bytes,
      state: this.#logState,
      segmentBytes,
      nextSequence,
      lastLsn,
      aheadBytes: AHEAD,
    });
    if (this.#planted?.endsSegments)
      Object.defineProperty(this.#log, 'bytesLeft', { value: Number.POSITIVE_INFINITY });
    this.#objects = new ObjectFiles(disk, DESCRIPTORS);
    const staged = new StagedSums(this.arena);
    this.#staged = staged;
    const wait = this.tree.namespace.waitUntilDurable.bind(this.tree.namespace);
    this.tree.namespace.waitUntilDurable = () => {
      this.onWait();
      return this.#planted?.changesSummed ? 0 : wait();
    };
    if (this.#planted?.comparesNothing) {
      const locate = this.tree.namespace.locate.bind(this.tree.namespace);
      this.tree.namespace.locate = (ino, out) => {
        const done = locate(ino, out);
        out.hasSums = false;
        return done;
      };
    }
    if (this.#planted?.keepsSums) this.tree.namespace.endSums = () => 0;
    this.content = new Content(
      this.tree.namespace,
      this.#objects,
      new DataLocks(this.arena),
      {
        objectDirty: (id) => this.#dirty(id),
        objectLogged: (id) => this.#logged(id),
        objectDropped: (id) => this.#dropped(id),
        objectDamaged: (_ino, id) => void this.damaged.push(objectPath(id)),
      },
      { habits: this.#habits, staged },
    );
    for (let k = 0; k <= others; k++) {
      this.#mailboxes.push([]);
      this.#actors.push(k === 0 ? this.#commitActor(clock, others) : this.#flushActor(clock));
    }
    this.#fuse = this.#fuseCommits(clock, segmentBytes);
  }

  #fuseCommits(clock: Clock, segmentBytes: number): FuseCommits {
    const log = new LogWriter(this.disk, {
      uuid: IDENTITY.bytes,
      segmentBytes,
      state: this.#logState,
      aheadBytes: AHEAD,
    });
    if (this.#planted?.fillsSegments)
      Object.defineProperty(log, 'bytesLeft', { value: Number.POSITIVE_INFINITY });
    const journal = new JournalReader(this.arena.region('journal'));
    if (this.#planted?.trustsBegun) {
      const begin = log.begin.bind(log);
      log.begin = (reader, limit) => {
        const failed = begin(reader, limit);
        if (failed === 0) reader.setDurable(reader.position);
        return failed;
      };
    }
    return new FuseCommits({
      journal,
      log,
      status: this.status,
      clock,
      ports: {
        enter: () => 0,
        reply: (sync, _hi, errno) => this.#replied(sync, errno),
        handOver: (sync) => void this.#mailboxes[0]!.push([SYNC, sync, 0]),
        expect: () => {},
        failed: () => {},
        logWritten: () => {},
        logDurable: () => {
          this.fuseCommits++;
        },
      },
    });
  }

  #commitActor(clock: Clock, others: number): CommitActor {
    const { disk, tree } = this;
    const [journal, log] = [this.#reader, this.#log];
    const space = watchOf({ disk, journal, log, clock }, RESERVE);
    space.look();
    return new CommitActor({
      journal,
      log,
      space,
      objects: new DirtyObjects(disk),
      status: this.status,
      clock,
      others,
      intervalMs: COMMIT_MS,
      ports: {
        reply: (sync, _hi, errno) => this.#replied(sync, errno),
        toMain: () => {},
        toOther: (index, kind, question, logged) =>
          void this.#mailboxes[index + 1]!.push([kind, question, logged]),
        incarnationOf: () => 1,
        patience: () => {},
        checkpoint: (lsn) => checkpoint(disk, IDENTITY, tree, lsn, clock),
        newestCheckpoint: () => newestCheckpoint(disk, IDENTITY.uuid),
        resumeLog: () => 0,
        rebuild: () => 0,
        failed: () => {},
      },
    });
  }

  #flushActor(clock: Clock): FlushActor {
    return new FlushActor({
      journal: new JournalReader(this.arena.region('journal')),
      objects: new DirtyObjects(this.disk),
      status: this.status,
      clock,
      intervalMs: COMMIT_MS,
      toFirst: (kind, question, errno) => void this.#mailboxes[0]!.push([kind, question, errno]),
    });
  }

  /** LSN of the last record in the journal. */
  get lastLsn(): number {
    return this.#reader.lastLsn;
  }

  /** Makes the `n`th change: ≥ 0 or −errno. */
  change(change: Change, n: number): number {
    return applyChange(this, change, n);
  }

  /** After the `n`th change: an fsync may be likely to follow. */
  expect(n: number): void {
    if (n % CHANGES_PER_EXPECTED === 1) this.#fuse.expect();
  }

  /** Asks for an fsync. */
  sync(): void {
    this.#syncs.push(this.lastLsn);
    this.#everythingSynced();
    const sync = this.#syncs.length - 1;
    if (this.#planted?.answersAtOnce) this.#replied(sync, 0);
    else if (sync % SYNCS_PER_HAND_OVER === 0) this.#mailboxes[0]!.push([SYNC, sync, 0]);
    else if (this.#fuse.sync(0, sync, 0) === 0) this.#replied(sync, 0);
  }

  #replied(sync: number, errno: number): void {
    if (errno !== 0) this.failedSyncs.push(errno);
    else this.acknowledged = Math.max(this.acknowledged, this.#syncs[sync]!);
  }

  /** As at the end of a mount: everything durable, segments, then the checkpoint they belong to. 0 or an errno. */
  checkpoint(ticket: number): number {
    this.sync();
    this.run();
    if (this.status.errno !== 0) return this.status.errno;
    const failed = this.tree.saveSegment(this.#log.durableLsn);
    if (failed < 0) return -failed;
    this.#mailboxes[0]!.push([CHECKPOINT, ticket, 0]);
    this.run();
    return this.status.answerOf(ticket) ?? 0;
  }

  /** As while it is mounted: from the checkpoint before and the log. 0 or −errno; a failure leaves what there was. */
  backgroundCheckpoint(): number {
    const { durableLsn, objectsLsn } = this.status.read();
    const untilLsn = this.#planted?.checkpointsAhead ? durableLsn : objectsLsn;
    const isDiskFull = this.#reader.space !== SPACE_ENOUGH;
    const options = { capacity: CAPACITY, untilLsn, shards: 1, isDiskFull, endedOf: this.#endedOf };
    const made = makeCheckpoint(this.disk, IDENTITY, options, {
      now: () => this.now,
      monotonic: () => this.now,
    });
    return made.kind === 'made' ? settle(this.disk, IDENTITY, made.damaged, isDiskFull) : 0;
  }

  /** As main does: they have ended, and all that tells of them is durable. */
  readonly #endedOf = (unnamed: Uint32Array): Ended => {
    const inodes = endedOf(this.arena, unnamed);
    const last = this.lastLsn;
    this.sync();
    this.run();
    const { objectsLsn } = this.status.read();
    return objectsLsn >= last
      ? { inodes, untilLsn: objectsLsn }
      : { inodes: new Uint32Array(0), untilLsn: 0 };
  };

  /** Makes the compressed form of a file's object, as the thread that looks for cold files. */
  compress(path: string): void {
    const { namespace } = this.tree;
    const ino = namespace.resolve(path);
    const place = new Place();
    if (ino < 0 || namespace.locate(ino, place) < 0 || place.object === 0 || place.stored !== PLAIN) return;
    const { object: from, size, generation, version } = place;
    const id = namespace.newObjectId();
    const stored = compressObject(this.disk, from, id, size, { frameBytes: FRAME, blockBytes: 1 });
    if (stored < 0) return;
    this.#compressed.push({ ino, generation, version, from, to: stored === KEPT_PLAIN ? from : id, stored });
  }

  /** Takes the checksums of a file's object, as the same thread. */
  sum(path: string): void {
    const { namespace } = this.tree;
    const ino = namespace.resolve(path);
    const place = new Place();
    if (ino < 0 || namespace.locate(ino, place) < 0 || place.object === 0) return;
    if (place.stored !== PLAIN && place.stored !== KEPT_PLAIN) return;
    const { object, size, generation, version } = place;
    const { spoils } = this.#staged;
    const sums = sumsOf(this.disk, object, size);
    if (typeof sums === 'number') return;
    const bytes = new Uint8Array(sums.buffer);
    this.#compressed.push({ ino, generation, version, object, spoils, sums: bytes });
  }

  /** As the indexer does for a transaction's bytes that are too many for the log: the object's id, or −errno. */
  placeObject(data: Uint8Array): number {
    const id = this.tree.namespace.newObjectId();
    const failed = this.#objects.create(id);
    const written = failed < 0 ? failed : this.#objects.write(id, 0, data, 0, data.length);
    if (written < 0) this.dropObject(id);
    else this.#dirty(id);
    return written < 0 ? written : id;
  }

  dropObject(id: number): void {
    this.#objects.forget(id);
    this.#post(OBJECT_DROPPED, id);
  }

  /** The oldest of them takes its place, if it still can; whether there was one. */
  place(): boolean {
    const compressed = this.#compressed.shift();
    if (compressed === undefined) return false;
    const now = new Place();
    const isKnown = this.tree.namespace.locate(compressed.ino, now) === 0;
    const version = this.#planted?.placesWhatChanged && isKnown ? now.version : compressed.version;
    if ('sums' in compressed) this.content.summed({ ...compressed, version });
    else this.content.compressed({ ...compressed, version });
    return true;
  }

  /**
   * One of the io actors, or the fuse actor that commits, in turn, takes a message or does what there is to do. Whether any had
   * something to do.
   */
  step(): boolean {
    const count = this.#actors.length + 1;
    for (let idle = 0; idle < count; idle++) {
      const k = this.#next;
      this.#next = (this.#next + 1) % count;
      if (k === this.#actors.length) {
        if (!this.#fuse.waits) continue;
        this.#fuse.run();
        return true;
      }
      const message = this.#mailboxes[k]!.shift();
      if (message === undefined) {
        if (this.#actors[k]!.idle() === 0) return true;
        continue;
      }
      this.#message.set([message[1], message[2], 0, 0]);
      this.#actors[k]!.onMessage(message[0], new Uint8Array(0), this.#message, new Float64Array(0), 0);
      return true;
    }
    return false;
  }

  /** Whether a file with checksums has its bytes in this object. */
  hasSums(file: string): boolean {
    const { namespace } = this.tree;
    const place = new Place();
    for (let ino = 1; ino < namespace.inodesEnd; ino++) {
      if (namespace.locate(ino, place) < 0 || objectPath(place.object) !== file) continue;
      return namespace.readSums(ino, 0, 1, new Uint32Array(1));
    }
    return false;
  }

  run(): void {
    while (this.step());
  }

  /** The bytes of a regular file, read as a program would; or −errno. */
  read(ino: number): Uint8Array | number {
    const size = this.content.size(ino);
    if (size < 0) return size;
    const bytes = new Uint8Array(size);
    const got = this.content.read(ino, 0, size, bytes, 0);
    return got < 0 ? got : bytes.subarray(0, got);
  }

  /** The memory is used again: nothing of this store may be looked at any more. */
  dispose(): void {
    giveMemory(this.arena);
  }

  #post(kind: number, id: number): void {
    this.#mailboxes[id % this.#mailboxes.length]!.push([kind, id, 0]);
  }

  /** As if somebody had synced each file, and so is about to do it again. */
  #everythingSynced(): void {
    for (let ino = 1; ino < INODES; ino++) this.#habits.synced(ino);
  }

  #dirty(id: number): void {
    this.#post(OBJECT_DIRTY, id);
    if (!this.#planted?.forgetsDirtied) this.#logState.dirtied();
  }

  #logged(id: number): void {
    if (!this.#planted?.forgetsLogged) this.#post(OBJECT_LOGGED, id);
  }

  #dropped(id: number): void {
    if (this.#planted?.deletesAtOnce) this.disk.unlink(objectPath(id));
    else this.#post(OBJECT_DROPPED, id);
  }
}
