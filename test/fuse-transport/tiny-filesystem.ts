/**
 * A worker that serves a read-only tree of fixed files over a ClassicChannel:
 *   /            node 1: `hello`, `boom` and `file-000` … `file-199`
 * Reading `boom` throws, and `mkdir` is answered by another thread (the one that owns the message port).
 * Words of the shared memory: 0 … doorbell; COUNTS + opcode: requests seen; RINGS: doorbell rings seen; STOP.
 */
import { parentPort, workerData } from 'node:worker_threads';
import * as abi from '../../fuse/protocol/abi.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import {
  BODY,
  direntBytes,
  encodeAttrOut,
  encodeDirent,
  encodeDirentplus,
  encodeEntryOut,
  encodeStatfsOut,
  FOREVER,
  type Reply,
} from '../../fuse/protocol/reply.ts';
import type { Request } from '../../fuse/protocol/request.ts';
import { ClassicChannel } from '../../fuse/session/classic-channel.ts';
import {
  type Dispatcher,
  LATER,
  NO_REPLY,
  REPLY_READY,
  Server,
  type ServerHooks,
} from '../../fuse/session/server.ts';
import { Watch } from '../../fuse/session/watch.ts';
import { Doorbell } from '../../runtime/messaging/doorbell.ts';

export const DOORBELL = 0;
export const RINGS = 16;
export const STOP = 17;
export const COUNTS = 32;
export const SHARED_WORDS = COUNTS + abi.OPCODES;
export const FILES = 200;
export const HELLO = 'hello from the tiny filesystem\n';

export interface TinyData {
  fd: number;
  shared: Int32Array;
  eventfd: number;
  spinMicroseconds: number;
  /** Where several of these workers serve one mount: their Watch, and this one's number from 1. */
  watch: Int32Array | undefined;
  id: number;
}

const HELLO_NODE = 2;
const BOOM_NODE = 3;
const FIRST_FILE = 10;

class TinyFilesystem implements Dispatcher {
  readonly #attr = new Attr();
  readonly #names: Buffer[] = [];
  readonly #nodes: number[] = [];

  constructor() {
    this.#add('hello', HELLO_NODE);
    this.#add('boom', BOOM_NODE);
    for (let i = 0; i < FILES; i++) this.#add(`file-${String(i).padStart(3, '0')}`, FIRST_FILE + i);
  }

  #add(name: string, node: number): void {
    this.#names.push(Buffer.from(name));
    this.#nodes.push(node);
  }

  undelivered(): void {}

  dispatch(request: Request, reply: Reply): number {
    switch (request.opcode) {
      case abi.FUSE_LOOKUP:
        return this.#lookup(request, reply);
      case abi.FUSE_GETATTR:
        this.#stat(request.nodeLo);
        reply.ok(encodeAttrOut(reply.u32, BODY, this.#attr, 0));
        return REPLY_READY;
      case abi.FUSE_READ:
        return this.#read(request, reply);
      case abi.FUSE_READDIR:
      case abi.FUSE_READDIRPLUS:
        return this.#readdir(request, reply);
      case abi.FUSE_STATFS:
        reply.ok(encodeStatfsOut(reply.u32, BODY, 1000, 500, 500, 100, 50, 4096, 255));
        return REPLY_READY;
      case abi.FUSE_MKDIR:
        parentPort!.postMessage({ uniqueLo: request.uniqueLo, uniqueHi: request.uniqueHi });
        return LATER;
      case abi.FUSE_FORGET:
      case abi.FUSE_BATCH_FORGET:
        return NO_REPLY;
      default:
        return -38;
    }
  }

  #stat(node: number): Attr {
    const attr = this.#attr;
    attr.ino = node;
    attr.mode = node === 1 ? 0o40755 : 0o100644;
    attr.uid = process.getuid!();
    attr.gid = process.getgid!();
    attr.nlink = 1;
    attr.size = node === HELLO_NODE || node === BOOM_NODE ? HELLO.length : 0;
    attr.mtime = 1_700_000_000;
    attr.mtimeNs = 123_456_789;
    return attr;
  }

  #lookup(request: Request, reply: Reply): number {
    const name = request.u8.subarray(request.nameStart, request.nameEnd);
    if (name[0] === 0x6e) return -2; // names that begin with "n" are missing, at no cost
    const i = this.#names.findIndex((candidate) => candidate.equals(name));
    if (i < 0) return -2;
    reply.ok(encodeEntryOut(reply.u32, BODY, this.#stat(this.#nodes[i]!), FOREVER, FOREVER));
    return REPLY_READY;
  }

  #read(request: Request, reply: Reply): number {
    if (request.nodeLo === BOOM_NODE) throw new Error('boom');
    const offset = request.u64(abi.READ_IN_OFFSET);
    const text = Buffer.from(HELLO).subarray(offset, offset + request.word(abi.READ_IN_SIZE));
    reply.u8.set(text, BODY);
    reply.ok(text.length);
    return REPLY_READY;
  }

  #readdir(request: Request, reply: Reply): number {
    const plus = request.opcode === abi.FUSE_READDIRPLUS;
    const end = BODY + request.word(abi.READ_IN_SIZE);
    let at = BODY;
    for (let i = request.u64(abi.READ_IN_OFFSET); i < this.#names.length; i++) {
      const name = this.#names[i]!;
      if (at + direntBytes(name.length, plus) > end) break;
      const attr = this.#stat(this.#nodes[i]!);
      at += plus
        ? encodeDirentplus(reply, at, attr, FOREVER, FOREVER, i + 1, 0, name, 0, name.length)
        : encodeDirent(reply, at, attr.ino, 0, i + 1, 0, attr.mode >>> 12, name, 0, name.length);
    }
    reply.ok(at - BODY);
    return REPLY_READY;
  }
}

if (parentPort !== null) {
  const { fd, shared, eventfd, spinMicroseconds, watch, id } = workerData as TinyData;
  const channel = new ClassicChannel(fd, {
    spinMicroseconds: () => spinMicroseconds,
    doorbell: new Doorbell(shared, DOORBELL),
    eventfd,
    watch: watch === undefined ? undefined : new Watch(watch, 0, id),
  });
  const failures: string[] = [];
  const hooks: ServerHooks = {
    started: (opcode) => void Atomics.add(shared, COUNTS + opcode, 1),
    finished: () => {},
    rang: () => {
      Atomics.add(shared, RINGS, 1);
      Atomics.notify(shared, RINGS);
      return Atomics.load(shared, STOP) === 0;
    },
    failed: (_, error) => failures.push(String(error)),
  };
  parentPort.postMessage('serving');
  const ended = new Server(channel, new TinyFilesystem(), hooks).serve();
  parentPort.postMessage({ ended, failures, polled: channel.polled, parked: channel.parked });
}
