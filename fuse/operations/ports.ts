/**
 * What the operations ask of whoever runs them: the things that take another thread. An implementation copies what
 * `u8` holds before it returns, and blocks no longer than a full mailbox lane takes to drain.
 */
export type { VirtualText } from '../virtual/texts.ts';
export { QUERY_SEARCH, QUERY_SIMILAR } from '../virtual/virtual-tree.ts';

export interface Handover {
  /**
   * Make everything changed so far durable, then answer the request: LATER. 0: all is durable already.
   * Or −errno: as many requests wait as there is room for, and this one is not going to be answered.
   */
  sync(opcode: number, uniqueLo: number, uniqueHi: number): number;
  /** An fsync is likely to follow: it may begin now. */
  syncExpected(): void;
  /** The object has `bytes` more, as far as known, that no fsync has made durable. Called for every write. */
  objectDirty(objectId: number, bytes?: number): void;
  /** The object has bytes that the log makes durable, until their log is given up. Called for every such write. */
  objectLogged(objectId: number): void;
  /** Nothing refers to the object any more: delete its file once the journal says so durably. */
  objectDropped(objectId: number): void;
  /** The file's bytes from `position` on cannot be read from the object, or are not what their checksum says. */
  objectDamaged(ino: number, objectId: number, position: number): void;
  /** A regular file's data changed. Called for every write. */
  contentChanged(ino: number): void;
  /** The inode lost its last name. It may still be open, and its xattrs be set, until the kernel forgets it. */
  removed(ino: number, generation: number): void;
  /** The vector of `collection` was set to u8[start, start + length), little-endian float32, by the change `stamp`. */
  vectorSet(
    collection: number,
    ino: number,
    generation: number,
    stamp: number,
    u8: Uint8Array,
    start: number,
    length: number,
  ): void;
  vectorRemoved(collection: number, ino: number, generation: number, stamp: number): void;
  /**
   * Answer the LOOKUP of a query: u8[start, start + length) is the name looked up in the virtual directory
   * (parentLo, parentHi); of QUERY_SIMILAR `ino` is the file it names. The reply is made by `answerQuery`
   * (fuse/virtual/query-reply.ts). It shows only what the caller may read, and is −EACCES where the caller may
   * not read the file asked about. False as in `sync`.
   */
  query(
    uniqueLo: number,
    uniqueHi: number,
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
  ): boolean;
  /** If a query waits for its answer under this id, it is given up: answered with EINTR. */
  interrupt(uniqueLo: number, uniqueHi: number): void;
  /**
   * Answer a READ of a query file, or, with `u8`, a WRITE of u8[start, start + length) to it; `node` is the low word of its
   * id. False as in `sync`.
   */
  queryFile(
    uniqueLo: number,
    uniqueHi: number,
    uid: number,
    gid: number,
    pid: number,
    node: number,
    position: number,
    length: number,
    u8: Uint8Array | undefined,
    start: number,
  ): boolean;
  /** Whoever was to answer this request need not: it is going to be run again. */
  withdraw(uniqueLo: number, uniqueHi: number): void;
  /** The kernel is to forget the name u8[start, start + length) in this directory, and what it knows of the directory. */
  forgetName(parentLo: number, parentHi: number, u8: Uint8Array, start: number, length: number): void;
  /** The kernel has forgotten the attributes of this node, and not its data, when this returns. */
  forgetAttributes(lo: number, hi: number): void;
  /** The kernel is to forget the attributes and the data of this node. */
  forgetInode(lo: number, hi: number): void;
}
