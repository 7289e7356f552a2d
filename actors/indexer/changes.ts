import { type Asker, type Change, Effects } from '../../fuse/namespace/change-set.ts';
import { type Collection, IndexState, type Namespace } from '../../fuse/namespace/namespace.ts';
import type { VectorBatch } from '../../fuse/namespace/vector-batch.ts';
import type { DataLocks } from '../../fuse/objects/data-locks.ts';
import type { ObjectFiles } from '../../fuse/objects/object-files.ts';
import { NO_ROW, type OpenFiles } from '../../fuse/objects/open-files.ts';
import type { AbsentNames } from '../../fuse/session/absent-names.ts';
import type { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { MIB, NAME_MAX } from '../../runtime/config/bounds.ts';
import { EAGAIN, EBUSY, ENODATA, ENOSPC, ESTALE } from '../../runtime/errno.ts';
import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import type { LogState } from '../log-state.ts';
import {
  DROP_COLLECTION,
  FORGET_INODE,
  OBJECT_DIRTY,
  OBJECT_DROPPED,
  REMOVE_FILE,
  REMOVE_VECTORS,
  SETTLE,
  SYNC_EXPECTED,
  tryForgetName,
  tryWords,
} from '../messages.ts';
import { holderOf, otherOf, type Route } from '../route.ts';
import { tryPutVector, tryRemove } from '../shard-messages.ts';
import { INTENTS_MAX, type Intended, type Intent } from './intent.ts';
import { untilSent } from './lanes.ts';
import { vectorAttribute } from './query-request.ts';

/** How often paths may change between a look at them and the locks of what they name. */
const TRIES = 16;
const NOTHING = new Uint8Array(0);
/** Of a batch that is to be durable: io-0 writes as much while the rest is being made. */
const WRITE_AHEAD_BYTES = 2 * MIB;
/** Vectors of a collection that is dropped that are removed without a pause. */
const REMOVALS = 256;
/** Vectors of a batch for which the shards are woken. */
const RUNG_FROM = 256;

export interface ChangesParts {
  readonly namespace: Namespace;
  readonly virtual: VirtualTree;
  readonly intent: Intent;
  /** What the kernel may remember as absent. */
  readonly absent: AbsentNames;
  readonly locks: DataLocks;
  /** Files that the kernel reads and writes by itself. */
  readonly openFiles: OpenFiles;
  readonly objects: ObjectFiles;
  /** Largest file that is journalled itself, bytes. */
  readonly inlineLimit: number;
  /** Of all shards that there is room for, and which has which file. */
  readonly shards: readonly Outbox[];
  readonly route: Route;
  /** By number. */
  readonly io: readonly Outbox[];
  readonly log: LogState;
  readonly main: Outbox;
  /** Resolves when the shards have taken in what was put before. */
  readonly shardsSettled: () => Promise<void>;
  /** The bytes of a file are others: it is to be indexed. */
  readonly contentChanged: (ino: number) => void;
}

/** What came of a transaction. */
export interface Outcome {
  /** 0 or an errno. */
  readonly errno: number;
  /** Which change was refused, from 0; −1 = none, or all of them together. */
  readonly refusedAt: number;
}

/**
 * Changes that did not come from the kernel: made in the tables, told to those who keep copies of what changed, and to the
 * kernel, which would otherwise go on showing what it remembers.
 */
export class StoreChanges {
  readonly #parts: ChangesParts;
  /** By ticket: who waits for main. */
  readonly #settling = new Map<number, (errno: number) => void>();
  #ticket: number;
  #turn: Promise<void> = Promise.resolve();

  /** `incarnation` of the indexer: no answer to a predecessor's ticket fits one of this. */
  constructor(parts: ChangesParts, incarnation: number) {
    this.#parts = parts;
    this.#ticket = (incarnation % 256) << 24;
  }

  /** All changes or none; durable, if asked for, and to be seen by everybody when this resolves. */
  async transact(changes: readonly Change[], who: Asker, isDurable: boolean): Promise<Outcome> {
    const objects: number[] = [];
    const effects = new Effects();
    let result = 0;
    const placed: Change[] = [];
    for (const change of changes) {
      const object = await this.#place(change);
      if (object < 0) {
        effects.refusedAt = placed.length;
        result = object;
        break;
      }
      if (object > 0) objects.push(object);
      placed.push(change.kind === 'write' ? { ...change, object } : change);
    }
    if (result === 0) {
      await this.#inTurn(
        async () => {
          result = this.#make(placed, who, effects);
          if (result === 0) await this.#tell(effects);
        },
        () => placed.map(({ path }) => this.#intended(path)),
      );
    }
    if (result < 0) for (const id of objects) await this.#drop(id);
    const errno = result < 0 ? -result : await this.#settle(isDurable);
    return { errno, refusedAt: effects.refusedAt };
  }

  /** What came of each vector is in `batch.results`. 0, or the errno of a store that takes no changes. */
  async putVectors(batch: VectorBatch, isDurable: boolean): Promise<number> {
    let errno = 0;
    let unwritten = 0;
    for (let i = 0; i < batch.count && errno === 0; ) {
      const end = Math.min(i + INTENTS_MAX, batch.count);
      await this.#inTurn(
        async () => {
          while (i < end && errno === 0) {
            const effects = new Effects();
            const next = this.#parts.namespace.putVectors(batch, i, end, effects);
            await this.#tell(effects);
            if (next < 0) errno = -next;
            else {
              unwritten += (next - i) * batch.recordBytes;
              i = next;
            }
            if (unwritten < WRITE_AHEAD_BYTES || i === batch.count || !isDurable) continue;
            // What is not taken is written with the rest.
            tryWords(this.#parts.io[0]!, SYNC_EXPECTED, 0, 0);
            unwritten = 0;
          }
        },
        () => this.#intendedOf(batch, i, end),
      );
    }
    if (errno === 0) errno = await this.#settle(isDurable);
    // Vectors are posted quietly; so many are worth a wake-up, for the graphs to take them in at once.
    if (batch.count >= RUNG_FROM) for (const shard of this.#parts.shards) shard.send();
    return errno;
  }

  /** First thing that a successor does: what its predecessor has changed is told as it is now. */
  async takeOver(): Promise<void> {
    const { namespace, intent, main } = this.#parts;
    const left = intent.read();
    const inodes = new Set<number>();
    for (const { directory, ino, name } of left) {
      if (ino !== 0) inodes.add(ino);
      const now = directory === 0 ? 0 : namespace.lookup(directory, name, 0, name.length);
      if (now > 0) inodes.add(now);
      if (directory !== 0) await untilSent(() => tryForgetName(main, directory, name));
    }
    for (const ino of inodes) {
      await untilSent(() => tryWords(main, FORGET_INODE, ino, 0));
      await this.#tellVectorsOf(ino);
    }
    this.#parts.virtual.searchableChanged();
    intent.clear();
  }

  /** Drops a collection: first it takes no vectors any more, then each is removed, then it is no more. An errno, or 0. */
  async dropCollection({ id, name }: Collection, attribute: Uint8Array): Promise<number> {
    const { namespace, shards } = this.#parts;
    const begun = namespace.dropCollection(name, false);
    if (begun < 0) return -begun;
    const end = namespace.inodesEnd;
    for (let ino = 1; ino < end; ino++) {
      if (namespace.getxattr(ino, attribute, 0, attribute.length, attribute, 0, 0) < 0) continue;
      const failed = namespace.removeVector(ino, attribute);
      if (failed < 0 && failed !== -ENODATA && failed !== -ESTALE) return -failed;
      // Others have their turn between.
      if (ino % REMOVALS === 0) await new Promise(setImmediate);
    }
    // What was set before it took no more.
    await this.#parts.shardsSettled();
    for (const shard of shards) await untilSent(() => tryWords(shard, DROP_COLLECTION, id, 0));
    // Nothing is said of the next collection of this id before the shards have forgotten this one.
    await this.#parts.shardsSettled();
    const done = namespace.dropCollection(name, true);
    this.#parts.virtual.searchableChanged();
    return done < 0 ? -done : this.#settle(true);
  }

  /** SETTLED, from main. */
  settled(ticket: number, errno: number): void {
    this.#settling.get(ticket)?.(errno);
    this.#settling.delete(ticket);
  }

  /** Writes what is too large for the log into an object: its id, 0 = the log takes the bytes, or −errno. */
  async #place(change: Change): Promise<number> {
    const { namespace, objects, inlineLimit, io, log } = this.#parts;
    if (change.kind !== 'write' || change.data.length <= inlineLimit) return 0;
    if (namespace.isLowOnSpace) return -ENOSPC;
    const id = namespace.newObjectId();
    const failed = objects.create(id);
    const written = failed < 0 ? failed : objects.write(id, 0, change.data, 0, change.data.length);
    if (written < 0) {
      await this.#drop(id);
      return written;
    }
    // Before the record that depends on it: a commit makes durable what it has heard of.
    await untilSent(() => tryWords(io[this.#ioOf(id)]!, OBJECT_DIRTY, id, 0));
    log.dirtied();
    return id;
  }

  #make(changes: readonly Change[], who: Asker, effects: Effects): number {
    const { namespace, locks, openFiles } = this.#parts;
    for (let i = 0; i < TRIES; i++) {
      const inodes = new Set<number>();
      for (const change of changes) {
        const ino = change.kind === 'write' ? namespace.resolve(change.path) : -1;
        if (ino > 0) inodes.add(ino);
      }
      const held = locks.lockAll(inodes);
      try {
        // The kernel goes on with the object that it has.
        for (const ino of inodes) if (openFiles.rowOf(ino) !== NO_ROW) return -EBUSY;
        const result = namespace.transact(changes, who, (ino) => inodes.has(ino), effects);
        if (result !== -EAGAIN) return result;
      } finally {
        locks.unlockAll(held);
      }
    }
    return -EAGAIN;
  }

  /** One group of changes is journalled and told before the next begins. */
  #inTurn(work: () => Promise<void>, intended: () => Iterable<Intended>): Promise<void> {
    const { intent } = this.#parts;
    const turn = this.#turn.then(async () => {
      intent.write(intended());
      try {
        await work();
      } finally {
        intent.clear();
      }
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  #intended(path: string): Intended {
    const { namespace } = this.#parts;
    const slash = path.lastIndexOf('/');
    const name = Buffer.from(path.slice(slash + 1));
    const directory = namespace.resolve(path.slice(0, slash + 1));
    const isNamed = directory > 0 && name.length > 0 && name.length <= NAME_MAX;
    const ino = isNamed ? namespace.lookup(directory, name, 0, name.length) : -1;
    return { directory: isNamed ? directory : 0, ino: Math.max(0, ino), name: isNamed ? name : NOTHING };
  }

  *#intendedOf(batch: VectorBatch, from: number, end: number): Generator<Intended> {
    for (let i = from; i < end; i++) {
      if (batch.results[i] !== 0 || batch.names[i]!.length > NAME_MAX) continue;
      yield { directory: batch.directories[i]!, ino: 0, name: batch.names[i]! };
    }
  }

  /** With a number that is taken before the look: whoever changes one since comes after this. */
  async #tellVectorsOf(ino: number): Promise<void> {
    const { namespace } = this.#parts;
    const state = new IndexState();
    for (const { id, name, dimension } of namespace.collections()) {
      const stamp = namespace.freshStamp();
      if (namespace.indexState(ino, state) < 0) return;
      const { generation } = state;
      const attribute = vectorAttribute(name);
      const value = new Uint8Array(dimension * 4);
      const length = namespace.getxattr(ino, attribute, 0, attribute.length, value, 0, value.length);
      await this.#toShards(ino, (shard) =>
        length === value.length
          ? tryPutVector(shard, ino, generation, id, stamp, value)
          : tryRemove(shard, REMOVE_VECTORS, ino, generation, id, stamp),
      );
    }
  }

  async #tell(effects: Effects): Promise<void> {
    const { namespace, virtual, contentChanged, main, absent } = this.#parts;
    for (const ino of effects.contents) contentChanged(ino);
    for (const { collection, ino, generation, stamp, value } of effects.vectors) {
      const attempt = (shard: Outbox): boolean =>
        value === undefined
          ? tryRemove(shard, REMOVE_VECTORS, ino, generation, collection, stamp)
          : tryPutVector(shard, ino, generation, collection, stamp, value);
      // A batch has thousands: each promise costs as much as the message.
      if (!this.#tryToShards(ino, attempt)) await this.#toShards(ino, attempt);
    }
    for (const { ino, generation } of effects.removed) {
      await this.#toShards(ino, (shard) => tryRemove(shard, REMOVE_FILE, ino, generation, 0));
    }
    for (let id = namespace.takeDropped(); id !== 0; id = namespace.takeDropped()) await this.#drop(id);
    virtual.searchableChanged();
    for (const { parent, name, isMade } of effects.names) {
      if (!isMade || absent.has(parent, name)) await untilSent(() => tryForgetName(main, parent, name));
    }
    for (const ino of effects.inodes) await untilSent(() => tryWords(main, FORGET_INODE, ino, 0));
  }

  /** Tells the shard that has the file, and the one that is to have it; again if that changes meanwhile. */
  async #toShards(ino: number, attempt: (shard: Outbox) => boolean): Promise<void> {
    if (!this.#tryToShards(ino, attempt)) await untilSent(() => this.#tryToShards(ino, attempt));
  }

  /** False when a lane is full; those that were told may be told again. */
  #tryToShards(ino: number, attempt: (shard: Outbox) => boolean): boolean {
    const { shards, route } = this.#parts;
    let word: number;
    do {
      word = route.word;
      const holder = shards[holderOf(word, ino)];
      if (holder !== undefined && !tryOrRing(holder, attempt)) return false;
      const other = shards[otherOf(word, ino)];
      if (other !== undefined && !tryOrRing(other, attempt)) return false;
    } while (route.word !== word);
    return true;
  }

  async #drop(id: number): Promise<void> {
    this.#parts.objects.forget(id);
    await untilSent(() => tryWords(this.#parts.io[this.#ioOf(id)]!, OBJECT_DROPPED, id, 0));
  }

  #ioOf(id: number): number {
    return id % this.#parts.io.length;
  }

  /** Main makes it durable, and has the kernel forget what it was told to. */
  async #settle(isDurable: boolean): Promise<number> {
    this.#ticket = (this.#ticket + 1) >>> 0;
    const ticket = this.#ticket;
    const answer = new Promise<number>((done) => this.#settling.set(ticket, done));
    await untilSent(() => tryWords(this.#parts.main, SETTLE, ticket, isDurable ? 1 : 0));
    return answer;
  }
}

/** Vectors are posted quietly: a shard that sleeps would not make room. */
function tryOrRing(shard: Outbox, attempt: (shard: Outbox) => boolean): boolean {
  if (attempt(shard)) return true;
  shard.send();
  return false;
}
