/**
 * The request loop of one thread: receive, parse, dispatch, reply. Whatever an operation does, the caller gets an
 * answer and the loop goes on: a throw is a bug, answered with EIO and reported with the request. And if the thread
 * dies, its successor answers (`resume`): what it was at is kept in a Flight.
 */
import { EACCES, EIO, ENODEV, ENOENT, ENOSYS } from '../../runtime/errno.ts';
import { FUSE_BATCH_FORGET, FUSE_FORGET, isKnownOpcode, opcodeName } from '../protocol/abi.ts';
import type { Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { type Channel, RANG, UNMOUNTED } from './channel.ts';
import { ANSWERING, Flight, IDLE, PUBLISHED, RUNNING } from './flight.ts';

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

/** How a request is brought to an end that a dead thread had begun. `request` is parsed, the reply begun. */
export interface Recovery {
  /** Takes back what the predecessor did for the request and the tables do not show: it is to be answered from here. */
  withdraw(request: Request, reply: Reply): void;
  /** After `withdraw`: the outcome, as of `dispatch`, of a request whose change is in the journal. */
  complete(request: Request, reply: Reply): number;
  /** The request is answered EIO, whatever became of it: nothing that the kernel keeps in its caches may depend on it. */
  giveUp(request: Request): void;
}

/** What became of the request that a dead thread was at. */
export type Resumed = 'nothing to do' | 'answered again' | 'run' | 'run again' | 'completed' | 'given up';

/** A request that this many threads have died of is not given to another one. */
const RUNS_MAX = 3;

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
  /** The thread's row, with the buffers to use; the same that its operations have. Needed where there are successors. */
  readonly flight?: Flight;
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
  readonly #flight: Flight;

  constructor(channel: Channel, dispatcher: Dispatcher, hooks: ServerHooks, options: ServerOptions = {}) {
    this.#channel = channel;
    this.#dispatcher = dispatcher;
    this.#hooks = hooks;
    this.#onlyUid = options.onlyUid ?? ANY_UID;
    this.#flight = options.flight ?? Flight.alone();
    this.request = this.#flight.request;
    this.reply = this.#flight.reply;
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
    this.#flight.begin();
    const isWellFormed = request.parse(length);
    const { opcode } = request;
    this.#hooks.started(opcode);
    reply.begin(request);
    const outcome = isWellFormed ? this.#run() : -EIO;
    this.#conclude(outcome);
    const error = outcome < 0 ? outcome : outcome === REPLY_READY ? reply.i32[1]! : 0;
    if (outcome === LATER) this.#channel.handedOver?.();
    this.#hooks.finished(opcode, error, request, outcome === LATER);
  }

  /**
   * Before `serve`, on a thread that takes over for one that died: brings the request it was at to an end. Of
   * its own that thread has nothing but the row, so `hooks` hear nothing of it.
   */
  resume(recovery: Recovery): Resumed {
    const { request, reply } = this;
    const flight = this.#flight;
    const { length, phase } = flight;
    if (length === 0) return 'nothing to do';
    if (phase === IDLE) {
      this.#handle(length);
      return 'run';
    }
    const isWellFormed = request.parse(length);
    if (phase === ANSWERING) {
      this.#sendAgain();
      return 'answered again';
    }
    reply.begin(request);
    if (!isWellFormed) {
      this.#conclude(-EIO);
      return 'run again';
    }
    return this.#resumeRun(recovery, phase);
  }

  #resumeRun(recovery: Recovery, phase: number): Resumed {
    const { request, reply } = this;
    const mayRun = this.#flight.beginAgain() <= RUNS_MAX;
    let outcome: number;
    try {
      recovery.withdraw(request, reply);
      if (!mayRun) outcome = -EIO;
      else if (phase === RUNNING) outcome = this.#run();
      else outcome = phase === PUBLISHED ? recovery.complete(request, reply) : -EIO;
    } catch (error) {
      this.#hooks.failed(request, error);
      outcome = -EIO;
    }
    if (outcome === -EIO) recovery.giveUp(request);
    this.#conclude(outcome);
    if (!mayRun) return 'given up';
    return phase === RUNNING ? 'run again' : 'completed';
  }

  /** The predecessor's reply. ENOENT: the kernel has it, with all that it counts. */
  #sendAgain(): void {
    this.#flight.restoreReply();
    const sent = this.#channel.send(this.reply);
    if (sent !== 0 && sent !== -ENOENT && sent !== -ENODEV) this.#refused(sent);
    this.#flight.end();
  }

  /** Answers, if an answer is due, and is done with the request. */
  #conclude(outcome: number): void {
    const { reply } = this;
    if (outcome < 0) {
      if (this.#hasReply()) {
        reply.error(outcome);
        this.#send();
      }
    } else if (outcome === REPLY_READY) {
      this.#send();
    }
    this.#flight.end();
  }

  #run(): number {
    const { request, reply } = this;
    if (!isKnownOpcode(request.opcode)) return -ENOSYS;
    if (this.#onlyUid !== ANY_UID && request.uid !== this.#onlyUid && request.uid !== 0) return -EACCES;
    try {
      return this.#dispatcher.dispatch(request, reply);
    } catch (error) {
      this.#hooks.failed(request, error);
      this.#takeBack();
      return -EIO;
    }
  }

  #hasReply(): boolean {
    const { opcode, uniqueLo, uniqueHi } = this.request;
    return opcode !== FUSE_FORGET && opcode !== FUSE_BATCH_FORGET && (uniqueLo !== 0 || uniqueHi !== 0);
  }

  #send(): void {
    this.#flight.answering();
    const sent = this.#channel.send(this.reply);
    if (sent === 0 || sent === -ENODEV) return;
    if (sent === -ENOENT) this.#takeBack();
    else this.#refused(sent);
  }

  /** The kernel took the message for malformed, so the caller still waits. */
  #refused(sent: number): void {
    this.#takeBack();
    this.#hooks.failed(this.request, new Error(`the kernel refused the reply: errno ${-sent}`));
    this.reply.error(-EIO);
    this.#flight.answering();
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
