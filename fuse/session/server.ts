/**
 * The request loop of one thread: receive, parse, dispatch, reply. Whatever an operation does, the caller gets an
 * answer and the loop goes on: a throw is a bug, answered with EIO and reported with the request.
 */
import { EACCES, EIO, ENODEV, ENOENT, ENOSYS } from '../../runtime/errno.ts';
import { FUSE_BATCH_FORGET, FUSE_FORGET, isKnownOpcode, opcodeName } from '../protocol/abi.ts';
import { Reply } from '../protocol/reply.ts';
import { Request } from '../protocol/request.ts';
import { type Channel, RANG, UNMOUNTED } from './channel.ts';

/** What `dispatch` returns beside a negative errno. */
export const REPLY_READY = 0;
/** The request has no reply (FORGET). */
export const NO_REPLY = 1;
/** Another thread sends the reply. */
export const LATER = 2;

export interface Dispatcher {
  /** Runs one well-formed request. REPLY_READY with the reply ended, NO_REPLY, LATER, or a negative errno to reply. */
  dispatch(request: Request, reply: Reply): number;
  /** The kernel did not take the finished reply: nobody will give back the lookups that it carries. */
  undelivered(request: Request, reply: Reply): void;
}

/** One object per thread, called for every request: keep its methods cheap and never throw from them. */
export interface ServerHooks {
  started(opcode: number): void;
  /** @param error 0 or the negative errno that was replied; a LATER request counts as 0. */
  finished(opcode: number, error: number, request: Request, isLater: boolean): void;
  /** The doorbell was rung. False ends `serve`. */
  rang(): boolean;
  /** A bug: the operation threw, or its reply was refused by the kernel. `request` is the offending one. */
  failed(request: Request, error: unknown): void;
}

export interface ServerOptions {
  /** The mount option allow_root: requests of users other than this one and root are answered with EACCES. */
  readonly onlyUid?: number | undefined;
  /** Buffers to use, for instance in shared memory. */
  readonly request?: Request;
  readonly reply?: Reply;
}

/** No user has it: (uid_t) −1. */
const ANY_UID = 0xffffffff;

/** What a log line says of a request. */
export function describe(request: Request): {
  opcode: string;
  unique: string;
  node: string;
  uid: number;
  pid: number;
} {
  const u64 = (lo: number, hi: number) => ((BigInt(hi) << 32n) | BigInt(lo)).toString();
  return {
    opcode: opcodeName(request.opcode),
    unique: u64(request.uniqueLo, request.uniqueHi),
    node: u64(request.nodeLo, request.nodeHi),
    uid: request.uid,
    pid: request.pid,
  };
}

export class Server {
  readonly request: Request;
  readonly reply: Reply;
  readonly #channel: Channel;
  readonly #dispatcher: Dispatcher;
  readonly #hooks: ServerHooks;
  readonly #onlyUid: number;

  constructor(channel: Channel, dispatcher: Dispatcher, hooks: ServerHooks, options: ServerOptions = {}) {
    this.#channel = channel;
    this.#dispatcher = dispatcher;
    this.#hooks = hooks;
    this.#onlyUid = options.onlyUid ?? ANY_UID;
    this.request = options.request ?? new Request();
    this.reply = options.reply ?? new Reply();
  }

  /** Serves on this thread until the filesystem is unmounted or `hooks.rang` says stop. */
  serve(): 'unmounted' | 'stopped' {
    const { request } = this;
    for (;;) {
      const length = this.#channel.receive(request);
      if (length === UNMOUNTED) return 'unmounted';
      if (length === RANG) {
        if (!this.#hooks.rang()) return 'stopped';
      } else {
        this.#handle(length);
      }
    }
  }

  #handle(length: number): void {
    const { request, reply } = this;
    const isWellFormed = request.parse(length);
    const { opcode } = request;
    this.#hooks.started(opcode);
    reply.begin(request);
    const outcome = isWellFormed ? this.#run() : -EIO;
    if (outcome < 0) {
      if (this.#hasReply()) {
        reply.error(outcome);
        this.#send();
      }
    } else if (outcome === REPLY_READY) {
      this.#send();
    }
    const error = outcome < 0 ? outcome : outcome === REPLY_READY ? reply.i32[1]! : 0;
    this.#hooks.finished(opcode, error, request, outcome === LATER);
  }

  #run(): number {
    const { request, reply } = this;
    if (!isKnownOpcode(request.opcode)) return -ENOSYS;
    if (this.#onlyUid !== ANY_UID && request.uid !== this.#onlyUid && request.uid !== 0) return -EACCES;
    try {
      return this.#dispatcher.dispatch(request, reply);
    } catch (error) {
      this.#hooks.failed(request, error);
      return -EIO;
    }
  }

  #hasReply(): boolean {
    const { opcode, uniqueLo, uniqueHi } = this.request;
    return opcode !== FUSE_FORGET && opcode !== FUSE_BATCH_FORGET && (uniqueLo !== 0 || uniqueHi !== 0);
  }

  #send(): void {
    const sent = this.#channel.send(this.reply);
    if (sent === 0 || sent === -ENODEV) return;
    this.#takeBack();
    if (sent === -ENOENT) return;
    // The kernel refused the message, so the caller still waits.
    this.#hooks.failed(this.request, new Error(`the kernel refused the reply: errno ${-sent}`));
    this.reply.error(-EIO);
    this.#channel.send(this.reply);
  }

  #takeBack(): void {
    try {
      this.#dispatcher.undelivered(this.request, this.reply);
    } catch (error) {
      this.#hooks.failed(this.request, error);
    }
  }
}
