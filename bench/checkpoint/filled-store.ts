/** A store as a mount with that many files and vectors would leave it when it is killed: all of it in the log. */

import { encodeChunkBatch } from '../../actors/chunk-batch.ts';
import { ObjectRedo } from '../../actors/io/object-redo.ts';
import { checkpoint, type Recoverable } from '../../actors/io/recovery.ts';
import { LogWriter } from '../../actors/log-writer.ts';
import { JOURNAL, namespaceCapacity, SLAB } from '../../actors/regions.ts';
import { IndexState, Namespace, planNamespace } from '../../fuse/namespace/namespace.ts';
import { systemClock } from '../../runtime/clock.ts';
import { MIB } from '../../runtime/config/bounds.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import {
  formatJournal,
  JournalReader,
  JournalWriter,
  journalRegionBytes,
} from '../../runtime/storage/journal-ring.ts';
import { type OpenStore, openStore } from '../../runtime/storage/store.ts';

const FILES_PER_DIRECTORY = 1000;
const encoder = new TextEncoder();
const VECTOR = encoder.encode('user.vexfs.vector');

export interface Filling {
  readonly files: number;
  /** Of each file's vector; 0 = none have one. */
  readonly dimension: number;
  /** The vectors are those of indexed text, one passage a file, and not set by a user. */
  readonly isText: boolean;
  readonly maxFiles: number;
  /** Bytes. */
  readonly budget: number;
}

export interface FilledStore {
  readonly store: OpenStore;
  readonly lastLsn: number;
  readonly logBytes: number;
}

export function fillStore(path: string, filling: Filling): FilledStore {
  const store = openStore(path, { create: true });
  if ('kind' in store) throw new Error(store.message);
  const { disk, identity } = store;
  const arena = Arena.create([
    ...planNamespace(namespaceCapacity(filling.maxFiles)),
    { name: SLAB, bytes: filling.budget },
    { name: JOURNAL, bytes: journalRegionBytes(32 * MIB) },
  ]);
  SlabAllocator.format(arena.region(SLAB));
  const slab = new SlabAllocator(arena.region(SLAB));
  formatJournal(arena.region(JOURNAL), 1);
  Namespace.format(arena, slab, { uid: process.getuid!(), gid: process.getgid!(), mode: 0o755, now: 0 });
  const reader = new JournalReader(arena.region(JOURNAL));
  const log = new LogWriter(disk, {
    uuid: identity.bytes,
    segmentBytes: 64 * MIB,
    nextSequence: 1,
    lastLsn: 0,
  });
  const drain = (): void => {
    if (log.append(reader, reader.published()) < 0) throw new Error('the log cannot be written');
  };
  const journal = new JournalWriter(arena.region(JOURNAL), { ring: drain });
  const namespace = new Namespace(arena, slab, journal, { inlineLimit: 16 * 1024, clock: systemClock });
  if (checkpoint(disk, identity, stateOf(arena, slab, namespace), 0, systemClock) < 0)
    throw new Error('the first checkpoint cannot be written');
  makeFiles(namespace, filling);
  drain();
  if (log.sync() < 0) throw new Error('the log cannot be synced');
  log.close();
  return { store, lastLsn: log.durableLsn, logBytes: log.bytes };
}

function stateOf(arena: Arena, slab: SlabAllocator, namespace: Namespace): Recoverable {
  const none = (): void => {};
  return {
    redo: new ObjectRedo(),
    region: (name) => arena.region(name).u8,
    image: () => [...namespace.image(), { name: SLAB, bytes: slab.highWater() }],
    format: none,
    loaded: none,
    apply: none,
    afterRecovery: none,
    forEachObject: none,
  };
}

function makeFiles(namespace: Namespace, { files, dimension, isText }: Filling): void {
  const vector = new Float32Array(dimension);
  let seed = 1;
  let directory = 1;
  for (let n = 0; n < files; n++) {
    if (n % FILES_PER_DIRECTORY === 0) directory = create(namespace, 1, `d${n}`, 0o040755);
    const ino = create(namespace, directory, `file-${n}.txt`, 0o100644);
    for (let i = 0; i < dimension; i++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
      vector[i] = seed / 2 ** 31;
    }
    if (dimension > 0 && isText) setText(namespace, ino, vector);
    else if (dimension > 0) setVector(namespace, ino, vector);
  }
}

function setVector(namespace: Namespace, ino: number, vector: Float32Array): void {
  const bytes = new Uint8Array(vector.buffer);
  const set = namespace.setxattr(ino, VECTOR, 0, VECTOR.length, bytes, 0, bytes.length, 0);
  if (set <= 0) throw new Error(`a vector cannot be set (errno ${-set})`);
}

/** As the indexer leaves a file of one passage. */
function setText(namespace: Namespace, ino: number, vector: Float32Array): void {
  const state = new IndexState();
  namespace.indexState(ino, state);
  const chunk = { byteOffset: 0, byteLength: 400, line: 1, vector };
  const batch = encodeChunkBatch(state.version, 0, [chunk], vector.length);
  const set = namespace.setIndexed(ino, state.generation, state.version, 1, 1, batch, 0, batch.length);
  if (set < 0) throw new Error(`a text cannot be set (errno ${-set})`);
}

function create(namespace: Namespace, parent: number, name: string, mode: number): number {
  const u8 = encoder.encode(name);
  const ino = namespace.create(parent, u8, 0, u8.length, mode, process.getuid!(), process.getgid!(), 0);
  if (ino < 0) throw new Error(`file ${name} cannot be made (errno ${-ino})`);
  return ino;
}
