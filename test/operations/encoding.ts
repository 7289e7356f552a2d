/** Requests and replies of the kernel as tests have them: their bodies encoded and decoded, apart from the code that is tested. */
import * as abi from '../../fuse/protocol/abi.ts';

export interface Node {
  readonly lo: number;
  readonly hi: number;
}

export const ROOT: Node = { lo: 1, hi: 0 };

export interface Caller {
  uid?: number;
  gid?: number;
  pid?: number;
}

export interface Answer {
  /** 0 or a negative errno; undefined = no reply was sent. */
  readonly error: number | undefined;
  readonly body: Buffer;
}

export interface Entry extends Node {
  readonly generation: number;
  readonly entryValid: number;
  readonly attrValid: number;
  readonly attr: Attributes;
}

export interface Attributes {
  readonly ino: Node;
  readonly size: number;
  readonly blocks: number;
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
  readonly mtimeNs: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
}

export interface Listed {
  readonly name: string;
  readonly type: number;
  readonly ino: Node;
  readonly cookie: bigint;
  readonly entry?: Entry;
}

export interface SetattrFields {
  valid: number;
  size?: number;
  mode?: number;
  uid?: number;
  gid?: number;
  atime?: number;
  mtime?: number;
  ctime?: number;
  atimeNs?: number;
  mtimeNs?: number;
  ctimeNs?: number;
}

export function setattrBody(fields: SetattrFields): Buffer {
  const body = Buffer.alloc(abi.SETATTR_IN_BYTES);
  body.writeUInt32LE(fields.valid, abi.SETATTR_IN_VALID);
  writeU64(body, abi.SETATTR_IN_SIZE, fields.size ?? 0);
  body.writeBigInt64LE(BigInt(fields.atime ?? 0), abi.SETATTR_IN_ATIME);
  body.writeBigInt64LE(BigInt(fields.mtime ?? 0), abi.SETATTR_IN_MTIME);
  body.writeBigInt64LE(BigInt(fields.ctime ?? 0), abi.SETATTR_IN_CTIME);
  body.writeUInt32LE(fields.atimeNs ?? 0, abi.SETATTR_IN_ATIMENSEC);
  body.writeUInt32LE(fields.mtimeNs ?? 0, abi.SETATTR_IN_MTIMENSEC);
  body.writeUInt32LE(fields.ctimeNs ?? 0, abi.SETATTR_IN_CTIMENSEC);
  body.writeUInt32LE(fields.mode ?? 0, abi.SETATTR_IN_MODE);
  body.writeUInt32LE(fields.uid ?? 0, abi.SETATTR_IN_UID);
  body.writeUInt32LE(fields.gid ?? 0, abi.SETATTR_IN_GID);
  return body;
}

export function words(...values: number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}

/** NUL-terminated, one after the other. */
export function strings(...values: string[]): Buffer {
  return Buffer.from(values.map((value) => `${value}\0`).join(''));
}

export const concat = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts);

export function writeU64(body: Buffer, at: number, value: number): void {
  body.writeBigUInt64LE(BigInt(value), at);
}

export function entryOf({ error, body }: Answer): Entry | number {
  return error === 0 ? entryAt(body, 0) : error!;
}

function nodeAt(body: Buffer, at: number): Node {
  return { lo: body.readUInt32LE(at), hi: body.readUInt32LE(at + 4) };
}

export function entryAt(body: Buffer, at: number): Entry {
  return {
    ...nodeAt(body, at),
    generation: body.readUInt32LE(at + abi.ENTRY_OUT_GENERATION),
    entryValid: body.readUInt32LE(at + abi.ENTRY_OUT_ENTRY_VALID),
    attrValid: body.readUInt32LE(at + abi.ENTRY_OUT_ATTR_VALID),
    attr: attributesAt(body, at + abi.ENTRY_OUT_ATTR),
  };
}

export function attributesAt(body: Buffer, at: number): Attributes {
  return {
    ino: nodeAt(body, at + abi.ATTR_INO),
    size: Number(body.readBigUInt64LE(at + abi.ATTR_SIZE)),
    blocks: Number(body.readBigUInt64LE(at + abi.ATTR_BLOCKS)),
    atime: Number(body.readBigInt64LE(at + abi.ATTR_ATIME)),
    mtime: Number(body.readBigInt64LE(at + abi.ATTR_MTIME)),
    ctime: Number(body.readBigInt64LE(at + abi.ATTR_CTIME)),
    mtimeNs: body.readUInt32LE(at + abi.ATTR_MTIMENSEC),
    mode: body.readUInt32LE(at + abi.ATTR_MODE),
    nlink: body.readUInt32LE(at + abi.ATTR_NLINK),
    uid: body.readUInt32LE(at + abi.ATTR_UID),
    gid: body.readUInt32LE(at + abi.ATTR_GID),
    rdev: body.readUInt32LE(at + abi.ATTR_RDEV),
  };
}

export function direntsOf(body: Buffer, plus: boolean): Listed[] {
  const listed: Listed[] = [];
  for (let at = 0; at < body.length; ) {
    const dirent = plus ? at + abi.ENTRY_OUT_BYTES : at;
    const nameBytes = body.readUInt32LE(dirent + abi.DIRENT_NAMELEN);
    const name = body.subarray(dirent + abi.DIRENT_NAME, dirent + abi.DIRENT_NAME + nameBytes).toString();
    listed.push({
      name,
      type: body.readUInt32LE(dirent + abi.DIRENT_TYPE),
      ino: nodeAt(body, dirent + abi.DIRENT_INO),
      cookie: body.readBigUInt64LE(dirent + abi.DIRENT_OFF),
      ...(plus ? { entry: entryAt(body, at) } : {}),
    });
    at = dirent + ((abi.DIRENT_NAME + nameBytes + 7) & ~7);
  }
  return listed;
}

/** Fails the test unless the call succeeded. */
export function ok<T>(value: T | number): T {
  if (typeof value === 'number') throw new Error(`errno ${-value}`);
  return value;
}
