/**
 * Changes that happen together or not at all (transact.ts), and what those who keep copies must hear of them.
 * Paths are absolute within the filesystem ("/a/b"), without "." and ".."; symbolic links are not followed.
 */

export type Change = Write | Attribute | Directory | Removal;

/** The file's bytes are these from now on. It is made if it is not there; what it had is gone. */
export interface Write {
  readonly kind: 'write';
  readonly path: string;
  readonly data: Uint8Array;
  /** The object in which the bytes lie already (they are not journalled then); 0 = none. */
  readonly object: number;
  /** Permission bits of a new file. */
  readonly mode: number;
  /** EEXIST if there is something of that name. */
  readonly isNew: boolean;
}

/** An extended attribute, a vector among them; without a value it is removed. */
export interface Attribute {
  readonly kind: 'attribute';
  readonly path: string;
  readonly name: Uint8Array;
  readonly value: Uint8Array | undefined;
}

export interface Directory {
  readonly kind: 'directory';
  readonly path: string;
  readonly mode: number;
}

/** A name goes, of anything but a directory. */
export interface Removal {
  readonly kind: 'remove';
  readonly path: string;
}

/** Whose permissions count. Root is 0. */
export interface Asker {
  readonly uid: number;
  /** Primary group first. */
  readonly gids: readonly number[];
}

export interface VectorChange {
  readonly collection: number;
  readonly ino: number;
  readonly generation: number;
  readonly stamp: number;
  /** Little-endian float32; undefined = there is none any more. */
  readonly value: Uint8Array | undefined;
}

/** What a transaction did. Only what another thread or the kernel can know of is told. */
export class Effects {
  /** Which change was refused, counted from 0; −1 = none. */
  refusedAt = -1;
  readonly vectors: VectorChange[] = [];
  /** Regular files whose bytes are others. */
  readonly contents: number[] = [];
  /** Inodes that lost their last name. */
  readonly removed: { readonly ino: number; readonly generation: number }[] = [];
  /** Names that came or went, in directories that the kernel knows. */
  readonly names: { readonly parent: number; readonly name: Uint8Array; readonly isMade: boolean }[] = [];
  /** Inodes that the kernel knows and that are not what they were. */
  readonly inodes = new Set<number>();
}
