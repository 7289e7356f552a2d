/**
 * A whole store in miniature for tests of the io actors: a table of words and object files, changed by numbered
 * operations, run on one thread over a faulty disk. Operation n is one transaction, and all state follows from
 * how many operations have been done, so what a recovery finds can be compared with every prefix.
 */
import { threadId } from 'node:worker_threads';
import { FuseCommits } from '../../actors/fuse/commits.ts';
import { newestCheckpoint } from '../../actors/io/checkpoint.ts';
import { CommitActor } from '../../actors/io/commit-actor.ts';
import { FlushActor } from '../../actors/io/flush-actor.ts';
import { ObjectRedo } from '../../actors/io/object-redo.ts';
import { DirtyObjects } from '../../actors/io/objects.ts';
import {
  checkpoint,
  type Recoverable,
  type Recovered,
  recover,
  startJournal,
} from '../../actors/io/recovery.ts';
import { resumeLog } from '../../actors/io/resume.ts';
import { LogState } from '../../actors/log-state.ts';
import { LogWriter } from '../../actors/log-writer.ts';
import {
  CHECKPOINT,
  FLUSH,
  OBJECT_DIRTY,
  OBJECT_DROPPED,
  OBJECT_LOGGED,
  SYNC,
  SYNC_EXPECTED,
} from '../../actors/messages.ts';
import { type ObjectVisitor, PLAIN } from '../../fuse/namespace/namespace.ts';
import { objectDirectory, objectPath } from '../../fuse/objects/object-path.ts';
import type { Clock } from '../../runtime/clock.ts';
import {
  JournalReader,
  type JournalRegion,
  JournalWriter,
  journalRegionBytes,
} from '../../runtime/storage/journal-ring.ts';
import { recordBytes } from '../../runtime/storage/record-header.ts';
import type { StoreIdentity } from '../../runtime/storage/store.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import { FaultyDisk } from './faulty-disk.ts';
import { uuid } from './sample-log.ts';
import { watchOf } from './space.ts';
import { sharedRegion } from './views.ts';

export const identity: StoreIdentity = { uuid: 'toy', bytes: uuid, created: '' };

/** Records of an operation: words [operation, index, value] and, for objects, [operation, object, version]. */
const SET = 1;
const OBJECT = 2;
const DROP = 3;
/** As OBJECT, of an object that there was before; the log vouches for its bytes. */
const LOGGED = 4;

const WORDS = 64;
const OBJECTS = 12;
export const OBJECT_BYTES = 700;
/** Word 0 holds the number of operations; then WORDS values; then per object its id + 1 and its version. */
const FIRST_OBJECT = 1 + WORDS;
/** Words that a mount clears, as the inodes are cleared that only open files kept. */
const TRANSIENT = 8;

function contentOf(version: number): Uint8Array {
  return new Uint8Array(new Uint32Array(OBJECT_BYTES / 4).fill(version).buffer);
}

export class ToyState implements Recoverable {
  readonly redo = new ObjectRedo();
  readonly table = sharedRegion(4096);
  mounts = 0;

  get operations(): number {
    return this.table.u32[0]!;
  }

  region(name: string): Uint8Array | undefined {
    return name === 'table' ? this.table.u8 : undefined;
  }

  image() {
    return [{ name: 'table', bytes: 4096 }];
  }

  format(): void {
    this.table.u32[WORDS] = 42;
  }

  loaded(): void {}

  apply(type: number, _u8: Uint8Array, u32: Uint32Array, _f64: Float64Array, offset: number): void {
    const [operation, first, second] = u32.subarray(offset >> 2, (offset >> 2) + 3) as unknown as number[];
    if (type === LOGGED) this.redo.objectWritten(first!, 0, contentOf(second!), 0, OBJECT_BYTES);
    else if (type === OBJECT) this.redo.objectFlushed(first!);
    this.change(type, operation!, first!, second!);
  }

  change(type: number, operation: number, first: number, second: number): void {
    const { u32 } = this.table;
    u32[0] = operation;
    if (type === SET) u32[1 + first] = second;
    else {
      const at = FIRST_OBJECT + (first % OBJECTS) * 2;
      u32[at] = type === DROP ? 0 : first + 1;
      u32[at + 1] = second;
    }
  }

  afterRecovery(): void {
    this.mounts++;
    this.table.u32.fill(0, 1, 1 + TRANSIENT);
  }

  forEachObject(visit: ObjectVisitor): void {
    for (const { id } of this.objects()) visit(id, OBJECT_BYTES, PLAIN);
  }

  objects(): { id: number; version: number }[] {
    const { u32 } = this.table;
    const objects = [];
    for (let at = FIRST_OBJECT; at < FIRST_OBJECT + OBJECTS * 2; at += 2) {
      if (u32[at] !== 0) objects.push({ id: u32[at]! - 1, version: u32[at + 1]! });
    }
    return objects;
  }
}

export interface ToyOptions {
  /** A fuse actor commits, too: {@link ToyStore.syncHere}. */
  readonly fuse?: boolean;
  readonly disk?: FaultyDisk;
  readonly others?: number;
  readonly segmentBytes?: number;
}

type Message = readonly [kind: number, first: number, second: number, third: number];

/** An io actor's thread ended here. */
export class Death extends Error {}

/** Counts the steps of the io actors that leave a trace outside of them, and ends a thread before step `diesAt`. */
export class Mortality {
  steps = 0;
  diesAt = 0;
  /** Of the last write to the log that is cut short by a death: how much of it is there. */
  tornFraction = 0;

  step(): void {
    this.steps++;
    if (this.steps === this.diesAt) throw new Death(`before step ${this.steps}`);
  }
}

class MortalReader extends JournalReader {
  readonly #mortality: Mortality;

  constructor(region: JournalRegion, mortality: Mortality) {
    super(region);
    this.#mortality = mortality;
  }

  override release(): void {
    this.#mortality?.step();
    super.release();
  }

  override setDurable(position: number): void {
    this.#mortality.step();
    super.setDurable(position);
  }
}

class MortalStatus extends StoreStatus {
  readonly #mortality: Mortality;

  constructor(region: JournalRegion, mortality: Mortality) {
    super(region);
    this.#mortality = mortality;
  }

  override answered(ticket: number, errno: number): void {
    this.#mortality.step();
    super.answered(ticket, errno);
  }
}

/** The number of the fuse actor's thread. */
export const FUSE = 9;
/** Few, so that every test has small writes with and without them. */
const AHEAD = 2048;
export class ToyStore {
  readonly disk: FaultyDisk;
  readonly state = new ToyState();
  readonly recovered: Recovered;
  readonly mortality = new Mortality();
  readonly logState = LogState.alone();
  readonly status = new MortalStatus(sharedRegion(4096), this.mortality);
  readonly writer: JournalWriter;
  journal: JournalReader;
  log: LogWriter;
  readonly replies: { unique: number; errno: number }[] = [];
  readonly done: { ticket: number; errno: number }[] = [];
  /** Commits that the fuse actor has made. */
  fuseCommits = 0;
  /** Checkpoints written. */
  checkpoints = 0;
  /** Operations done when the newest acknowledged fsync was asked for. */
  acknowledged = 0;
  now = 1000;
  readonly #region: JournalRegion;
  readonly #clock: Clock;
  readonly #others: number;
  readonly #segmentBytes: number;
  readonly #actors: (CommitActor | FlushActor)[] = [];
  readonly #incarnations: number[] = [];
  #fuse: FuseCommits | undefined;
  /** Fsyncs that the fuse actor has put off. */
  readonly #putOff = new Set<number>();
  readonly #mailboxes: Message[][] = [];
  /** Taken by the actor since its mailbox was last empty: not released, so a successor gets them again. */
  readonly #taken: Message[][] = [];
  /** Fsyncs that nobody has answered, as in pending.ts: with the operations done when they were asked for. */
  readonly #asked = new Map<number, number>();
  /** What main waits for, by ticket: it asks a successor again. */
  readonly #tickets = new Map<number, number>();
  readonly #message = new Uint32Array(4);
  #unique = 0;
  #running = -1;

  constructor(options: ToyOptions = {}) {
    this.disk = options.disk ?? new FaultyDisk();
    for (const name of ['log', 'checkpoint', 'objects']) this.disk.mkdir(name);
    this.disk.syncDirectory('.');
    this.#clock = { now: () => this.now, monotonic: () => this.now };
    this.#others = options.others ?? 0;
    this.#segmentBytes = options.segmentBytes ?? 1200;
    const recovered = recover(this.disk, identity, this.state, this.#clock);
    if (typeof recovered === 'string') throw new Error(recovered);
    this.recovered = recovered;
    this.#region = sharedRegion(journalRegionBytes(16 * 1024));
    startJournal(this.#region, recovered, this.#clock);
    this.writer = new JournalWriter(this.#region);
    this.journal = new MortalReader(this.#region, this.mortality);
    this.log = this.#openLog(recovered.lastLsn, recovered.nextSequence);
    for (let k = 0; k <= this.#others; k++) {
      this.#mailboxes.push([]);
      this.#taken.push([]);
      this.#incarnations.push(1);
      this.#actors.push(k === 0 ? this.#commitActor(false) : this.#flushActor(false));
    }
    if (options.fuse) this.#fuse = this.#fuseActor();
  }

  #openLog(lastLsn: number, nextSequence: number): LogWriter {
    return new LogWriter(this.disk, {
      uuid,
      segmentBytes: this.#segmentBytes,
      state: this.logState,
      clock: this.#clock,
      lastLsn,
      nextSequence,
      aheadBytes: AHEAD,
    });
  }

  #fuseActor(): FuseCommits {
    const { disk, mortality, status, logState: state } = this;
    return new FuseCommits({
      journal: new MortalReader(this.#region, mortality),
      log: new LogWriter(disk, {
        uuid,
        segmentBytes: this.#segmentBytes,
        state,
        aheadBytes: AHEAD,
        clock: this.#clock,
      }),
      status,
      clock: this.#clock,
      ports: {
        enter: (_opcode, unique) => {
          this.#putOff.add(unique);
          return 0;
        },
        reply: (unique, _hi, errno) => {
          mortality.step();
          this.#reply(unique, errno);
        },
        handOver: (unique) => {
          mortality.step();
          this.#mailboxes[0]!.push([SYNC, unique, 0, 0]);
          this.#putOff.delete(unique);
        },
        expect: () => this.expectSync(),
        failed: () => {},
        logWritten: () => {},
        logDurable: () => {
          this.fuseCommits++;
        },
      },
    });
  }

  #resumeLog(): { lastLsn: number; nextSequence: number } {
    const resumed = resumeLog(this.disk, uuid, this.journal);
    if (typeof resumed === 'string') throw new Error(resumed);
    return resumed;
  }

  #commitActor(isSuccessor: boolean): CommitActor {
    const { disk, journal, log, status, state, mortality } = this;
    const clock = this.#clock;
    return new CommitActor({
      journal,
      log,
      space: watchOf({ disk, journal, log, clock }),
      objects: new DirtyObjects(disk, isSuccessor),
      status,
      clock,
      others: this.#others,
      intervalMs: 1000,
      ports: {
        reply: (lo, _hi, errno) => {
          mortality.step();
          this.#reply(lo, errno);
        },
        toMain: (_kind, ticket, errno) => {
          mortality.step();
          this.done.push({ ticket, errno });
          this.#tickets.delete(ticket);
        },
        toOther: (index, kind, question, logged) => {
          mortality.step();
          this.#mailboxes[index + 1]!.push([kind, question, logged, 0]);
        },
        incarnationOf: (index) => this.#incarnations[index + 1]!,
        patience: () => {},
        checkpoint: (lsn) => {
          this.checkpoints++;
          return checkpoint(disk, identity, state, lsn, clock);
        },
        newestCheckpoint: () => newestCheckpoint(disk, identity.uuid),
        resumeLog: () => {
          const { lastLsn, nextSequence } = this.#resumeLog();
          this.log.goOn(lastLsn, nextSequence);
          return 0;
        },
        rebuild: () => 0,
        failed: () => {},
      },
    });
  }

  #flushActor(isSuccessor: boolean): FlushActor {
    const toFirst = (kind: number, question: number, errno: number) => {
      this.mortality.step();
      this.#mailboxes[0]!.push([kind, question, errno, 0]);
    };
    return new FlushActor({
      journal: new JournalReader(this.#region),
      objects: new DirtyObjects(this.disk, isSuccessor),
      status: this.status,
      clock: this.#clock,
      intervalMs: 1000,
      toFirst,
    });
  }

  /** The thread of the actor that was running has ended; another takes its place, and may end too. Which one it was. */
  succeed(): number {
    const k = this.#running;
    this.disk.endOfThread(k);
    this.disk.mortality = this.mortality;
    // As main does it (actors/main/wreck.ts).
    this.logState.breakFor(threadId);
    if (k === FUSE) {
      this.#fuse = this.#fuseActor();
      for (const unique of this.#putOff) this.#mailboxes[0]!.push([SYNC, unique, 0, 0]);
      this.#putOff.clear();
      return k;
    }
    this.#mailboxes[k]!.unshift(...this.#taken[k]!.splice(0));
    this.#incarnations[k]!++;
    if (k > 0) {
      this.#actors[k] = this.#flushActor(true);
      return k;
    }
    this.journal = new MortalReader(this.#region, this.mortality);
    this.logState.take();
    const { lastLsn, nextSequence } = this.#resumeLog();
    this.log = this.#openLog(lastLsn, nextSequence);
    this.logState.leave();
    const actor = this.#commitActor(true);
    for (const unique of this.#asked.keys()) actor.takeUp(unique, 0, 0);
    for (const [ticket, kind] of this.#tickets) this.#ask(kind, ticket);
    this.#actors[0] = actor;
    return 0;
  }

  /** Operation n: sets a word, or writes an object and records its new version, or drops one. */
  operate(choice: number): void {
    const n = this.state.operations + 1;
    if (!this.writer.hasRoom(2 * recordBytes(12))) throw new Error('the toy journal is full');
    if (choice % 3 === 0) {
      this.#record(SET, n, choice % WORDS, n);
      this.#record(SET, n, (choice + 7) % WORDS, n);
      this.writer.commit();
      return;
    }
    const slot = choice % OBJECTS;
    const old = this.state.objects().find(({ id }) => id % OBJECTS === slot);
    if (choice % 3 === 2 && old !== undefined) {
      this.#record(DROP, n, old.id, 0);
      this.writer.commit();
      this.#post(OBJECT_DROPPED, old.id);
      return;
    }
    const id = old?.id ?? n * OBJECTS + slot;
    this.#writeObject(id, n);
    const isLogged = old !== undefined && n % 2 === 0;
    this.#post(isLogged ? OBJECT_LOGGED : OBJECT_DIRTY, id);
    this.#record(isLogged ? LOGGED : OBJECT, n, id, n);
    this.writer.commit();
  }

  /** Asks for an fsync; {@link run} answers. */
  sync(): void {
    this.#unique++;
    this.#asked.set(this.#unique, this.state.operations);
    this.#mailboxes[0]!.push([SYNC, this.#unique, 0, 0]);
  }

  /** Asks the fuse actor for an fsync. */
  syncHere(): void {
    this.#unique++;
    this.#asked.set(this.#unique, this.state.operations);
    if (this.#fuse!.sync(0, this.#unique, 0) === 0) this.#reply(this.#unique, 0);
  }

  /** Says to it that one is likely to follow. */
  expectHere(): void {
    this.disk.mortality = this.mortality;
    this.#running = this.disk.thread = FUSE;
    this.#fuse!.expect();
    this.disk.mortality = undefined;
  }

  /** Says that an fsync is likely to follow. */
  expectSync(): void {
    this.#mailboxes[0]!.push([SYNC_EXPECTED, 0, 0, 0]);
  }

  flush(ticket: number): void {
    this.#ask(FLUSH, ticket);
  }

  checkpoint(ticket: number): void {
    this.#ask(CHECKPOINT, ticket);
  }

  #ask(kind: number, ticket: number): void {
    this.#tickets.set(ticket, kind);
    this.#mailboxes[0]!.push([kind, ticket, 0, 0]);
  }

  /** Runs all io actors until none has anything to do now. */
  run(): void {
    this.disk.mortality = this.mortality;
    for (let busy = true; busy; ) {
      this.#running = this.disk.thread = FUSE;
      busy = this.#fuse?.waits ?? false;
      if (busy) this.#fuse!.run();
      for (const [k, actor] of this.#actors.entries()) {
        const mailbox = this.#mailboxes[k]!;
        this.#running = k;
        this.disk.thread = k;
        if (mailbox.length > 0) {
          busy = true;
          this.#taken[k]!.push(mailbox[0]!);
          this.#deliver(actor, mailbox.shift()!);
        } else {
          this.#taken[k]!.length = 0;
          if (actor.idle() === 0) busy = true;
        }
      }
    }
    this.disk.mortality = undefined;
  }

  #deliver(actor: CommitActor | FlushActor, [kind, first, second, third]: Message): void {
    this.#message.set([first, second, third]);
    actor.onMessage(kind, new Uint8Array(0), this.#message, new Float64Array(0), 0);
  }

  #post(kind: number, id: number): void {
    this.#mailboxes[id % this.#mailboxes.length]!.push([kind, id, 0, 0]);
    if (kind === OBJECT_DIRTY) this.logState.dirtied();
  }

  #record(type: number, operation: number, first: number, second: number): void {
    const word = this.writer.append(type, 12) >> 2;
    this.writer.u32[word] = operation;
    this.writer.u32[word + 1] = first;
    this.writer.u32[word + 2] = second;
    this.state.change(type, operation, first, second);
  }

  /** As a fuse actor does it; failing calls are meant for the io actors. */
  #writeObject(id: number, version: number): void {
    const failures = [...this.disk.failures];
    this.disk.failures.clear();
    this.disk.mkdir(objectDirectory(id));
    let descriptor = this.disk.open(objectPath(id), 'write');
    if (descriptor < 0) descriptor = this.disk.open(objectPath(id), 'create');
    this.disk.pwrite(descriptor, contentOf(version), 0, OBJECT_BYTES, 0);
    this.disk.close(descriptor);
    for (const [call, errno] of failures) this.disk.failures.set(call, errno);
  }

  #reply(unique: number, errno: number): void {
    const operations = this.#asked.get(unique);
    if (operations === undefined) return;
    this.#asked.delete(unique);
    this.replies.push({ unique, errno });
    if (errno === 0) this.acknowledged = Math.max(this.acknowledged, operations);
  }
}

/** Every word of an object must be of the recovered version or a later one: never missing, never of another object. */
export function checkObjects(store: ToyStore, newest: number): void {
  const referred = new Set<string>();
  for (const { id, version } of store.state.objects()) {
    const bytes = store.disk.read(objectPath(id)).slice();
    if (bytes.length !== OBJECT_BYTES) throw new Error(`object ${id} has ${bytes.length} bytes`);
    for (const word of new Uint32Array(bytes.buffer)) {
      if (word < version || word > newest)
        throw new Error(`object ${id} version ${version} has ${word} in it`);
    }
    referred.add(objectPath(id));
  }
  for (const directory of store.disk.list('objects') as string[]) {
    for (const name of store.disk.list(`objects/${directory}`) as string[]) {
      if (!referred.has(`objects/${directory}/${name}`)) throw new Error(`orphan ${name} is left`);
    }
  }
}
