/** What operations hand over to other threads, kept for tests to look at. */
import type { Handover } from '../../fuse/operations/ports.ts';
import { LATER } from '../../fuse/session/server.ts';
import { EIO } from '../../runtime/errno.ts';
import type { Node } from './encoding.ts';

/** What was handed over, newest last. */
export class Handed implements Handover {
  readonly synced: { unique: number }[] = [];
  readonly dirty: number[] = [];
  readonly dropped: number[] = [];
  readonly changed: number[] = [];
  readonly logged: number[] = [];
  expected = 0;
  readonly gone: { ino: number; generation: number }[] = [];
  readonly vectors: { collection: number; ino: number; generation: number; value: Buffer | undefined }[] = [];
  readonly queries: {
    unique: number;
    uid: number;
    gid: number;
    pid: number;
    kind: number;
    parent: Node;
    ino: number;
    name: string;
  }[] = [];
  /** Nodes and names that the kernel was told to forget. */
  readonly forgotten: (Node | { parent: Node; name: string })[] = [];
  /** Whose attributes have changed without the kernel noticing. */
  readonly changedUnseen: number[] = [];
  onDropped: (object: number) => void = () => {};

  /** Whether there is room for one more request that waits for its answer. */
  hasRoom = true;
  /** Whether an fsync has nothing to wait for. */
  isDurable = false;

  sync(_opcode: number, uniqueLo: number): number {
    if (this.isDurable) return 0;
    if (this.hasRoom) this.synced.push({ unique: uniqueLo });
    return this.hasRoom ? LATER : -EIO;
  }
  syncExpected(): void {
    this.expected++;
  }
  objectDirty(object: number): void {
    this.dirty.push(object);
  }
  objectLogged(object: number): void {
    this.logged.push(object);
  }
  objectDropped(object: number): void {
    this.dropped.push(object);
    this.onDropped(object);
  }
  readonly damaged: { ino: number; object: number; position: number }[] = [];
  objectDamaged(ino: number, object: number, position: number): void {
    this.damaged.push({ ino, object, position });
  }
  contentChanged(ino: number): void {
    this.changed.push(ino);
  }
  removed(ino: number, generation: number): void {
    this.gone.push({ ino, generation });
  }
  vectorSet(
    collection: number,
    ino: number,
    generation: number,
    _stamp: number,
    u8: Uint8Array,
    start: number,
    length: number,
  ): void {
    const value = Buffer.from(u8.slice(start, start + length));
    this.vectors.push({ collection, ino, generation, value });
  }
  vectorRemoved(collection: number, ino: number, generation: number): void {
    this.vectors.push({ collection, ino, generation, value: undefined });
  }
  readonly queryFiles: {
    unique: number;
    node: number;
    position: number;
    length: number;
    text: string | undefined;
  }[] = [];
  queryFile(
    unique: number,
    _uniqueHi: number,
    _uid: number,
    _gid: number,
    _pid: number,
    node: number,
    position: number,
    length: number,
    u8: Uint8Array | undefined,
    start: number,
  ): boolean {
    const text = u8 && Buffer.from(u8.slice(start, start + length)).toString();
    this.queryFiles.push({ unique, node, position, length, text });
    return this.hasRoom;
  }
  query(
    uniqueLo: number,
    _uniqueHi: number,
    uid: number,
    gid: number,
    pid: number,
    kind: number,
    parentLo: number,
    parentHi: number,
    ino: number,
    u8: Uint8Array,
    start: number,
    length: number,
  ): boolean {
    const name = Buffer.from(u8.slice(start, start + length)).toString();
    const parent = { lo: parentLo, hi: parentHi };
    if (this.hasRoom) this.queries.push({ unique: uniqueLo, uid, gid, pid, kind, parent, ino, name });
    return this.hasRoom;
  }
  interrupt(uniqueLo: number): void {
    const at = this.queries.findIndex(({ unique }) => unique === uniqueLo);
    if (at >= 0) this.queries.splice(at, 1);
  }
  /** As the real one: who was to answer, and has not, does not any more. */
  withdraw(uniqueLo: number): void {
    for (const posted of [this.synced, this.queries]) {
      const at = posted.findIndex(({ unique }) => unique === uniqueLo);
      if (at >= 0) posted.splice(at, 1);
    }
  }
  forgetName(parentLo: number, parentHi: number, u8: Uint8Array, start: number, length: number): void {
    const name = Buffer.from(u8.slice(start, start + length)).toString();
    this.forgotten.push({ parent: { lo: parentLo, hi: parentHi }, name });
  }
  forgetAttributes(lo: number): void {
    this.changedUnseen.push(lo);
  }
  forgetInode(lo: number, hi: number): void {
    this.forgotten.push({ lo, hi });
  }
}
