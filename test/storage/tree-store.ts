/**
 * A namespace with its log on a faulty disk, changed by generated operations, and what a recovery makes of the disk:
 * for tests of checkpoints made from the checkpoint before and the log.
 */
import type { Ended } from '../../actors/checkpoint-order.ts';
import { encodeChunkBatch } from '../../actors/chunk-batch.ts';
import { makeCheckpoint, settle } from '../../actors/io/background-checkpoint.ts';
import { replayLog } from '../../actors/io/log-recovery.ts';
import { ObjectRedo } from '../../actors/io/object-redo.ts';
import { checkpoint, loadState, type Recoverable } from '../../actors/io/recovery.ts';
import { ReplayedTables } from '../../actors/io/replayed-tables.ts';
import { LogWriter } from '../../actors/log-writer.ts';
import { readSegments } from '../../actors/text-segment.ts';
import { shardOf } from '../../actors/topology.ts';
import {
  DirEntry,
  endedOf,
  IndexState,
  type Namespace,
  type ReplayObserver,
} from '../../fuse/namespace/namespace.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import { JournalReader, JournalWriter } from '../../runtime/storage/journal-ring.ts';
import { RECORD_MOUNTED } from '../../runtime/storage/record-header.ts';
import type { StoreIdentity } from '../../runtime/storage/store.ts';
import { bytesOf, World } from '../namespace/world.ts';
import { FaultyDisk } from './faulty-disk.ts';
import { uuid } from './sample-log.ts';

export const identity: StoreIdentity = { uuid: 'tree', bytes: uuid, created: '' };
const capacity = { maxFiles: 4096, budget: 64 * 2 ** 20, inlineLimit: 2000 };
export const SHARDS = 3;
const DIMENSION = 4;
const S_IFDIR = 0o040000;

/** Text of a file: per batch what a shard has of it. */
type Text = Map<number, string[]>;

/** What an fsck would compare: every path with all there is to know of it. */
export function describeTree(namespace: Namespace): string[] {
  const lines: string[] = [];
  const walk = (ino: number, path: string): void => {
    const attr = new Attr();
    namespace.stat(ino, attr);
    const state = new IndexState();
    namespace.indexState(ino, state);
    const facts = { ...attr, ino, nlink: attr.nlink, ...state };
    lines.push(`${path} ${JSON.stringify(facts)} ${contentOf(namespace, ino)} ${xattrsOf(namespace, ino)}`);
    if ((attr.mode & 0o170000) !== S_IFDIR) return;
    const entry = new DirEntry();
    while (namespace.readdir(ino, entry.cookieLo, entry.cookieHi, entry)) {
      const name = Buffer.from(entry.name.subarray(0, entry.nameLength)).toString();
      if (name !== '.' && name !== '..') walk(entry.ino, `${path}/${name}`);
    }
  };
  walk(1, '');
  return lines.sort();
}

function contentOf(namespace: Namespace, ino: number): string {
  const out = new Uint8Array(4096);
  const length = namespace.readInline(ino, 0, out.length, out, 0);
  return length < 0 ? `(${length})` : Buffer.from(out.subarray(0, length)).toString('base64');
}

function xattrsOf(namespace: Namespace, ino: number): string {
  const name = bytesOf('user.vexfs.vector');
  const out = new Uint8Array(4096);
  const length = namespace.getxattr(ino, name, 0, name.length, out, 0, out.length);
  return length < 0 ? '' : Buffer.from(out.subarray(0, length)).toString('hex');
}

function takeBatch(text: Text, ino: number, batch: Uint8Array): void {
  const isFirst = new DataView(batch.buffer, batch.byteOffset).getUint32(4, true) === 0;
  const line = Buffer.from(batch).toString('base64');
  text.set(ino, isFirst ? [line] : [...(text.get(ino) ?? []), line]);
}

export class TreeStore {
  readonly disk: FaultyDisk;
  readonly world = World.fresh();
  readonly text: Text = new Map();
  readonly log: LogWriter;
  readonly #reader: JournalReader;
  readonly #dimension: number;
  readonly #names: { parent: number; name: string; ino: number; isDirectory: boolean }[] = [];
  #counter = 0;

  /** `dimension`: of the text vectors; of long ones few make a block of a segment. */
  constructor(segmentBytes = 3000, dimension = DIMENSION) {
    this.#dimension = dimension;
    this.disk = new FaultyDisk();
    for (const name of ['log', 'checkpoint', 'objects', 'vectors']) this.disk.mkdir(name);
    this.disk.syncDirectory('.');
    this.#reader = new JournalReader(this.world.arena.region('journal'));
    this.log = new LogWriter(this.disk, { uuid, segmentBytes, nextSequence: 1, lastLsn: 0 });
    const failed = checkpoint(this.disk, identity, this.#live(), 0, this.world.clock);
    if (failed < 0) throw new Error(`the first checkpoint failed: ${failed}`);
  }

  /** The tables in use, as the first checkpoint of a store and the one at the unmount copy them. */
  #live(): Recoverable {
    const { world } = this;
    const none = (): void => {};
    return {
      redo: new ObjectRedo(),
      region: (name) => world.arena.region(name).u8,
      format: none,
      loaded: none,
      apply: none,
      afterRecovery: none,
      forEachObject: none,
      image() {
        world.slab.flush();
        return [...world.namespace.image(), { name: 'slab', bytes: world.slab.highWater() }];
      },
    };
  }

  /** One change that follows from `random`; not all of them succeed. */
  operate(random: (bound: number) => number): void {
    const { world } = this;
    const n = ++this.#counter;
    world.clock.time += 1000;
    const directories = [1, ...this.#names.filter(({ isDirectory }) => isDirectory).map(({ ino }) => ino)];
    const parent = directories[random(directories.length)]!;
    const at = random(this.#names.length + 1);
    const named = this.#names[at];
    switch (named === undefined ? 0 : random(12)) {
      case 0:
      case 1: {
        const name = `f${n}${random(4) === 0 ? 'n'.repeat(40) : ''}`;
        const ino = world.file(parent, name, 'c'.repeat(random(300)));
        this.#named(parent, name, ino, false);
        return;
      }
      case 2: {
        const ino = world.directory(parent, `d${n}`);
        this.#named(parent, `d${n}`, ino, true);
        return;
      }
      case 3:
        this.#remove(at);
        return;
      case 4:
        if (world.rename(named!.parent, named!.name, parent, `r${n}`) === 0)
          this.#names[at] = { ...named!, parent, name: `r${n}` };
        return;
      case 5:
        if (!named!.isDirectory && world.link(named!.ino, parent, `l${n}`) === 0)
          this.#names.push({ ...named!, parent, name: `l${n}` });
        return;
      case 6:
        world.setxattr(named!.ino, 'user.vexfs.vector', new Uint8Array(Float32Array.of(n, 1).buffer));
        return;
      case 7:
        world.removexattr(named!.ino, 'user.vexfs.vector');
        return;
      case 8:
        if (!named!.isDirectory) world.namespace.truncate(named!.ino, random(500));
        return;
      case 9:
        if (!named!.isDirectory)
          world.write(named!.ino, random(200), bytesOf(`w${n}`.repeat(random(50) + 1)));
        return;
      default:
        if (!named!.isDirectory) this.index(named!.ino, random(6));
    }
  }

  #named(parent: number, name: string, ino: number, isDirectory: boolean): void {
    // The number may have been another file's.
    this.text.delete(ino);
    this.#names.push({ parent, name, ino, isDirectory });
  }

  #remove(at: number): void {
    const { parent, name, ino, isDirectory } = this.#names[at]!;
    const { world } = this;
    // Now and then it is open meanwhile, and the kernel forgets it later or never.
    if (this.#counter % 3 === 0) world.namespace.addLookup(ino, 1);
    const result = isDirectory ? world.rmdir(parent, name) : world.unlink(parent, name);
    if (result === 0) this.#names.splice(at, 1);
    if (this.#counter % 6 === 0 && result === 0) world.namespace.forget(ino, 1);
  }

  /** As the indexer does: some batches, of which only the last says that the file is indexed. */
  index(ino: number, batches: number): void {
    const { namespace } = this.world;
    const state = new IndexState();
    if (namespace.indexState(ino, state) < 0) return;
    const { generation, version } = state;
    const earlier = state.indexedVersion;
    if (batches === 0) {
      namespace.setIndexed(ino, generation, version, 0, 2, new Uint8Array(0), 0, 0);
      this.text.delete(ino);
    }
    for (let first = 0; first < batches; first++) {
      const vector = Float32Array.of(ino, first, version, this.#counter);
      const batch = encodeChunkBatch(
        version,
        first,
        [{ byteOffset: 0, byteLength: 9, line: 1, vector }],
        this.#dimension,
      );
      const asOf = first === batches - 1 ? version : earlier;
      namespace.setIndexed(ino, generation, asOf, first + 1, 1, batch, 0, batch.length);
      takeBatch(this.text, ino, batch);
    }
  }

  /** What a mount writes first, and does. */
  mounted(): void {
    const { world } = this;
    const journal = new JournalWriter(world.arena.region('journal'));
    journal.f64[journal.append(RECORD_MOUNTED, 8) >> 3] = world.clock.now();
    journal.commit();
    world.namespace.afterRecovery();
  }

  commit(): void {
    const failed = this.log.append(this.#reader, this.#reader.published()) || this.log.sync();
    if (failed < 0) throw new Error(`the log failed: ${failed}`);
  }

  /** Written, and not durable. */
  write(): void {
    this.log.append(this.#reader, this.#reader.published());
  }

  checkpoint(disk = this.disk, untilLsn = this.log.durableLsn, shards = SHARDS, isDiskFull = false) {
    const options = { capacity, untilLsn, shards, isDiskFull };
    return makeCheckpoint(disk, identity, options, this.world.clock);
  }

  /** As main has them made: without inodes that have ended. */
  checkpointOfLiving(untilLsn = this.log.durableLsn) {
    const ended = (unnamed: Uint32Array): Ended => {
      const inodes = endedOf(this.world.arena, unnamed);
      this.commit();
      return { inodes, untilLsn: this.log.durableLsn };
    };
    const options = { capacity, untilLsn, shards: SHARDS, isDiskFull: false, endedOf: ended };
    return makeCheckpoint(this.disk, identity, options, this.world.clock);
  }

  /** Inodes without a name that the newest checkpoint has. */
  unnamedInCheckpoint(): number[] {
    const tables = new ReplayedTables(capacity, this.world.clock);
    if (typeof loadState(this.disk, identity, tables) === 'string') throw new Error('it cannot be loaded');
    return [...tables.unnamed].filter((_word, i) => i % 2 === 0);
  }

  settle(disk = this.disk, damaged: readonly { readonly sequence: number }[] = []): number {
    return settle(disk, identity, damaged, false);
  }

  files(): number[] {
    return this.#names.filter(({ isDirectory }) => !isDirectory).map(({ ino }) => ino);
  }

  /** Text of the files that have a name: what shards should hold. */
  expectedText(): Text {
    const { namespace } = this.world;
    const named = new Set(this.#names.map(({ ino }) => ino));
    return new Map(
      [...this.text].filter(([ino]) => named.has(ino) && namespace.exists(ino, generationOf(namespace, ino))),
    );
  }
}

function generationOf(namespace: Namespace, ino: number): number {
  const state = new IndexState();
  return namespace.indexState(ino, state) < 0 ? -1 : state.generation;
}

export interface RecoveredTree {
  readonly tree: string[];
  readonly text: Text;
  readonly checkpointLsn: number;
  readonly lastLsn: number;
  /** Checkpoints that were passed over. */
  readonly damaged: number;
}

/** What a mount makes of the disk, tables and text, with `shards` shards. */
export function recoverTree(disk: FaultyDisk, shards = SHARDS): RecoveredTree {
  const text: Text = new Map();
  const observer: ReplayObserver = {
    indexed(ino, _generation, _version, u8, start, end) {
      if (start === end) text.delete(ino);
      else takeBatch(text, ino, u8.slice(start, end));
    },
    inodeFreed: (ino) => void text.delete(ino),
  };
  const clock = { now: () => 0, monotonic: () => 0 };
  const tables = new ReplayedTables(capacity, clock, observer);
  const state = loadState(disk, identity, tables);
  if (typeof state === 'string') throw new Error(state);
  for (let shard = 0; shard < shards && state.lsn > 0; shard++) {
    const isComplete = readSegments(
      disk,
      state.lsn,
      shard,
      shards,
      (ino, _generation, u8, offset, length) => {
        if (shardOf(ino, shards) === shard) takeBatch(text, ino, u8.slice(offset, offset + length));
      },
    );
    if (!isComplete) throw new Error(`segment ${shard} of ${state.lsn} is missing`);
  }
  const outcome = replayLog(disk, uuid, state.lsn, (type, u8, u32, f64, offset, length) => {
    if (type === RECORD_MOUNTED) tables.namespace.afterRecovery(observer);
    else tables.apply(type, u8, u32, f64, offset, length);
  });
  if (typeof outcome === 'number' || outcome.damage) throw new Error(JSON.stringify(outcome));
  tables.namespace.afterRecovery(observer);
  return {
    tree: describeTree(tables.namespace),
    text: new Map([...text].map(([ino, lines]) => [ino, lines])),
    checkpointLsn: state.lsn,
    lastLsn: outcome.lastLsn,
    damaged: state.damaged.length,
  };
}
