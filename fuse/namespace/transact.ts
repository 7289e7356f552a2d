/**
 * Several changes in one transaction: one commit mark in the journal, so after a crash all of them have happened or none;
 * and under one lock, so no reader that asks twice sees them half done for longer than it takes.
 *
 * Every change is looked at, and its memory taken, before the first is made (change-plan.ts): a mutation cannot be undone.
 * What fails after that is a bug, and leaves the tables to be made anew (transaction.ts).
 */

import { assert } from '../../runtime/assert.ts';
import { KIB, NAME_MAX, TRANSACTION_MAX, XATTR_NAME_MAX } from '../../runtime/config/bounds.ts';
import { E2BIG, EAGAIN } from '../../runtime/errno.ts';
import { recordBytes } from '../../runtime/storage/record-header.ts';
import { ChangePlan, type PlannedNode, type Step } from './change-plan.ts';
import type { Asker, Change, Effects } from './change-set.ts';
import { KILL_SUIDGID } from './changes.ts';
import * as collections from './collections.ts';
import * as content from './content.ts';
import { createInheriting } from './creation.ts';
import * as inodes from './inodes.ts';
import { I_GENERATION, I_LOOKUPS, INODE_WORDS, ROOT } from './layout.ts';
import * as mutations from './mutations.ts';
import { NamespaceObjects } from './objects.ts';
import * as records from './records.ts';
import type { Tables } from './tables.ts';
import type { Transaction } from './transaction.ts';
import { nameBound } from './tree.ts';
import { putVector, type VectorBatch } from './vector-batch.ts';
import { XattrCursor } from './xattrs.ts';

const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();
const CAPABILITY = new TextEncoder().encode('security.capability');
/** Journal bytes of the puts that are made under one lock: some hundred microseconds. */
const SLICE_BYTES = 128 * KIB;

/** Most bytes of the records that a change takes. */
function boundOf(change: Change): number {
  switch (change.kind) {
    case 'write':
      return (
        recordBytes(records.CREATE_BYTES + NAME_MAX) +
        recordBytes(records.SIZE_BYTES) +
        recordBytes(records.SIZE_BYTES + (change.object === 0 ? change.data.length : 0)) +
        recordBytes(records.REMOVEXATTR_BYTES + CAPABILITY.length)
      );
    case 'attribute':
      return recordBytes(records.SETXATTR_BYTES + XATTR_NAME_MAX + (change.value?.length ?? 0));
    case 'directory':
      return recordBytes(records.CREATE_BYTES + NAME_MAX);
    case 'remove':
      return recordBytes(records.UNLINK_BYTES + NAME_MAX);
  }
}

export class NamespaceChanges extends NamespaceObjects {
  /** The number of the last change of a vector by this instance: taken under the lock, so in the order of the changes. */
  vectorStamp = 0;
  readonly #stamp: () => number;
  readonly #cursor = new XattrCursor();

  constructor(tables: Tables, transaction: Transaction, stamp: () => number = () => 0) {
    super(tables, transaction);
    this.#stamp = stamp;
  }

  protected stampVector(): void {
    this.vectorStamp = this.#stamp();
  }

  /** A number after those of all changes so far. */
  freshStamp(): number {
    return this.#stamp();
  }

  /**
   * Makes all changes, in order, or none: 0, or the −errno of the first that cannot be made (`effects.refusedAt`).
   * E2BIG when they are more than one transaction takes. `isLocked`: whether the caller holds the data lock of a file
   * that is overwritten (fuse/objects/data-locks.ts); EAGAIN when it does not, as paths have changed since it looked.
   */
  transact(
    changes: readonly Change[],
    who: Asker,
    isLocked: (ino: number) => boolean,
    effects: Effects,
  ): number {
    let bytes = 0;
    for (const change of changes) bytes += boundOf(change);
    if (bytes > TRANSACTION_MAX) return -E2BIG;
    const refusal = this.transaction.begin(
      bytes,
      changes.every(({ kind }) => kind === 'remove'),
    );
    if (refusal !== 0) return refusal;
    try {
      const plan = new ChangePlan(this.tables, who);
      for (const [i, change] of changes.entries()) {
        const refused = plan.add(change);
        if (refused === 0) continue;
        effects.refusedAt = i;
        return this.transaction.end(refused);
      }
      if (!plan.overwritten.every(isLocked)) return this.transaction.end(-EAGAIN);
      if (plan.steps.length === 0) return this.transaction.end(0);
      for (const step of plan.steps) this.#make(step, who, effects);
      this.transaction.commit();
      for (const step of plan.steps) if (step.kind === 'unlink') this.#unlinked(step.node.ino, effects);
      return this.transaction.end(0);
    } finally {
      this.tables.reserved.release();
      this.transaction.release();
    }
  }

  /**
   * Sets the vectors of a batch from number `from` to `end`, each for itself: what came of it is in `batch.results`. As many
   * as one lock is held for; returns the number of the next one, or the −errno of a log that has failed.
   */
  putVectors(batch: VectorBatch, from: number, end: number, effects: Effects): number {
    const each = recordBytes(records.CREATE_BYTES + NAME_MAX) + batch.recordBytes;
    const count = Math.min(end - from, Math.max(1, Math.floor(SLICE_BYTES / each)));
    const refusal = this.transaction.begin(count * each);
    if (refusal !== 0) return refusal;
    try {
      const { journal } = this.transaction;
      let done = 0;
      for (let i = from; i < from + count; i++) {
        const id = putVector(this.tables, journal, batch, i);
        if (batch.made) this.#noteName(batch.directories[i]!, batch.names[i]!, true, effects);
        if (batch.made || id > 0) done++;
        if (id <= 0) continue;
        this.stampVector();
        const { ino } = batch;
        effects.vectors.push({
          collection: id,
          ino,
          generation: this.#generation(ino),
          stamp: this.vectorStamp,
          value: batch.value(i),
        });
        this.#note(ino, effects);
      }
      if (done > 0) this.transaction.commit();
      return this.transaction.end(from + count);
    } finally {
      this.transaction.release();
    }
  }

  /**
   * Its id, from 1 on; an existing collection's if dimension and options (packOptions in collections.ts; −1 = as they are)
   * agree, else EINVAL. ENOSPC and EDQUOT when the user `uid` can make no more.
   */
  createCollection(name: string, dimension: number, options = -1, uid = 0): number {
    const t = this.tables;
    const u8 = encoder.encode(name);
    const { length } = u8;
    const refusal = this.transaction.begin(recordBytes(records.COLLECTION_BYTES + nameBound(length)));
    if (refusal !== 0) return refusal;
    try {
      const isNew = collections.findCollection(t, u8, 0, length) === 0;
      const refused = isNew ? collections.refuseNew(t, 1, collections.isKeeper(uid)) : 0;
      const id = refused < 0 ? refused : content.createCollection(t, dimension, options, u8, 0, length);
      if (id < 0) return this.transaction.end(id);
      const word = collections.optionsOf(t, id);
      records.encodeCollection(this.transaction.journal, t, dimension, word, u8, 0, length);
      this.transaction.commit();
      return this.transaction.end(id);
    } finally {
      this.transaction.release();
    }
  }

  /** Of a collection that is being dropped: its vectors are nobody's concern any more, so no number is given. 0 or −errno. */
  removeVector(ino: number, attribute: Uint8Array): number {
    const t = this.tables;
    const { length } = attribute;
    const refusal = this.transaction.begin(recordBytes(records.REMOVEXATTR_BYTES + length), true);
    if (refusal !== 0) return refusal;
    try {
      const id = content.removexattr(t, ino, attribute, 0, length);
      if (id < 0) return this.transaction.end(id);
      records.encodeRemovexattr(this.transaction.journal, t, ino, attribute, 0, length);
      this.transaction.commit();
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /**
   * The collection takes no vectors any more, or, once the last is gone, is not there any more. Its id, or −errno as in
   * content.ts.
   */
  dropCollection(name: string, isGone: boolean): number {
    const t = this.tables;
    const u8 = encoder.encode(name);
    const { length } = u8;
    const refusal = this.transaction.begin(recordBytes(records.COLLECTION_BYTES + nameBound(length)), true);
    if (refusal !== 0) return refusal;
    try {
      const id = content.dropCollection(t, isGone, u8, 0, length);
      if (id < 0) return this.transaction.end(id);
      records.encodeDrop(this.transaction.journal, t, isGone, u8);
      this.transaction.commit();
      return this.transaction.end(id);
    } finally {
      this.transaction.release();
    }
  }

  #make(step: Step, who: Asker, effects: Effects): void {
    if (step.kind === 'make') this.#create(step.parent, step.node, step.name, effects);
    else if (step.kind === 'fill') this.#fill(step, who, effects);
    else if (step.kind === 'attribute') this.#setAttribute(step, effects);
    else this.#unlink(step.parent, step.node, step.name, effects);
  }

  #create(parent: PlannedNode, node: PlannedNode, name: Uint8Array, effects: Effects): void {
    const t = this.tables;
    const ino = inodes.peek(t);
    const generation = (t.inode[ino * INODE_WORDS + I_GENERATION]! + 1) >>> 0;
    const { mode, uid, gid } = node;
    const end = name.length;
    must(createInheriting(t, parent.ino, ino, generation, mode, uid, gid, 0, name, 0, end, NOTHING, 0, 0));
    const { journal } = this.transaction;
    records.encodeCreate(
      journal,
      t,
      parent.ino,
      ino,
      generation,
      mode,
      uid,
      gid,
      0,
      name,
      0,
      end,
      NOTHING,
      0,
      0,
    );
    node.ino = ino;
    this.#noteName(parent.ino, name, true, effects);
  }

  #fill(step: Extract<Step, { kind: 'fill' }>, who: Asker, effects: Effects): void {
    const t = this.tables;
    const { journal } = this.transaction;
    const { data, object } = step.write;
    const { ino } = step.node;
    const flags = who.uid === 0 ? 0 : KILL_SUIDGID;
    if (object !== 0) {
      must(content.attach(t, ino, object, data.length, flags));
      records.encodeSize(journal, t, records.ATTACH, ino, data.length, flags, object);
    } else {
      if (!step.isMade) {
        must(content.truncate(t, ino, 0, flags));
        records.encodeSize(journal, t, records.TRUNCATE, ino, 0, flags, 0);
      }
      if (data.length > 0) {
        must(content.write(t, ino, 0, data, 0, data.length, flags));
        records.encodeWrite(journal, t, ino, 0, data, 0, data.length, flags);
      }
    }
    if (this.#cursor.find(t, ino, CAPABILITY, 0, CAPABILITY.length)) {
      must(content.removexattr(t, ino, CAPABILITY, 0, CAPABILITY.length));
      records.encodeRemovexattr(journal, t, ino, CAPABILITY, 0, CAPABILITY.length);
    }
    effects.contents.push(ino);
    this.#note(ino, effects);
  }

  #setAttribute({ node, change }: Extract<Step, { kind: 'attribute' }>, effects: Effects): void {
    const t = this.tables;
    const { journal } = this.transaction;
    const { name, value } = change;
    const { ino } = node;
    let collection: number;
    if (value === undefined) {
      collection = must(content.removexattr(t, ino, name, 0, name.length));
      records.encodeRemovexattr(journal, t, ino, name, 0, name.length);
    } else {
      collection = must(content.setxattr(t, ino, name, 0, name.length, value, 0, value.length, 0));
      records.encodeSetxattr(journal, t, ino, name, 0, name.length, value, 0, value.length, 0);
    }
    this.#note(ino, effects);
    if (collection === 0) return;
    this.stampVector();
    const generation = this.#generation(ino);
    effects.vectors.push({ collection, ino, generation, stamp: this.vectorStamp, value });
  }

  #unlink(parent: PlannedNode, node: PlannedNode, name: Uint8Array, effects: Effects): void {
    const t = this.tables;
    must(mutations.unlink(t, parent.ino, name, 0, name.length, false));
    records.encodeUnlink(this.transaction.journal, t, parent.ino, name, 0, name.length, false);
    this.#noteName(parent.ino, name, false, effects);
    this.#note(node.ino, effects);
  }

  #unlinked(ino: number, effects: Effects): void {
    this.lostName(ino);
    if (this.removedIno === 0) return;
    effects.removed.push({ ino, generation: this.removedGeneration });
  }

  #generation(ino: number): number {
    return this.tables.inode[ino * INODE_WORDS + I_GENERATION]!;
  }

  #note(ino: number, effects: Effects): void {
    if (this.#isKnown(ino)) effects.inodes.add(ino);
  }

  #noteName(parent: number, name: Uint8Array, isMade: boolean, effects: Effects): void {
    if (!this.#isKnown(parent)) return;
    effects.names.push({ parent, name, isMade });
    effects.inodes.add(parent);
  }

  /** Whether the kernel may have cached anything of it. */
  #isKnown(ino: number): boolean {
    return ino === ROOT || Atomics.load(this.tables.inode, ino * INODE_WORDS + I_LOOKUPS) !== 0;
  }
}

/** The result of a mutation that was found possible. */
function must(result: number): number {
  assert(result >= 0, 'a change that was planned can be made');
  return result;
}
