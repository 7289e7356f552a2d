import { beforeEach, describe, expect, it } from 'vitest';
import * as abi from '../../fuse/protocol/abi.ts';
import type { Reply } from '../../fuse/protocol/reply.ts';
import type { Request } from '../../fuse/protocol/request.ts';
import { type Channel, RANG, UNMOUNTED } from '../../fuse/session/channel.ts';
import {
  describe as describeRequest,
  LATER,
  NO_REPLY,
  REPLY_READY,
  Server,
  type ServerHooks,
} from '../../fuse/session/server.ts';
import { bytes, put } from './messages.ts';

/** Plays a script of messages, then reports the unmount; remembers the replies as [unique, error]. */
class ScriptedChannel implements Channel {
  polled = 0;
  parked = 0;
  readonly replies: [number, number][] = [];
  refuse = 0;
  refusal = -22;
  readonly #script: ((request: Request) => number)[];

  constructor(script: ((request: Request) => number)[]) {
    this.#script = script;
  }

  receive(request: Request): number {
    return this.#script.shift()?.(request) ?? UNMOUNTED;
  }

  send(reply: Reply): number {
    if (this.refuse-- > 0) return this.refusal;
    this.replies.push([reply.u32[2]!, reply.i32[1]!]);
    return 0;
  }
}

const lookup =
  (unique: number, uid = 1000) =>
  (request: Request) =>
    put(request, { opcode: abi.FUSE_LOOKUP, unique, uid }, bytes('name\0'));
const message = (opcode: number, unique: number, body: Uint8Array) => (request: Request) =>
  put(request, { opcode, unique }, body);

let failures: string[];
let finished: [number, number][];
let undeliveredReplies: number[];
let hooks: ServerHooks;
beforeEach(() => {
  failures = [];
  finished = [];
  undeliveredReplies = [];
  hooks = {
    started: () => {},
    finished: (opcode, error) => finished.push([opcode, error]),
    rang: () => true,
    failed: (request, error) => failures.push(`${describeRequest(request).opcode} ${String(error)}`),
  };
});

function serve(
  channel: Channel,
  dispatch: (request: Request, reply: Reply) => number,
  options?: ConstructorParameters<typeof Server>[3],
) {
  const undelivered = (request: Request) => void undeliveredReplies.push(request.uniqueLo);
  return new Server(channel, { dispatch, undelivered }, hooks, options).serve();
}

describe('Server', () => {
  it('answers EIO for an operation that throws, reports the request, and serves on', () => {
    const channel = new ScriptedChannel([lookup(4), lookup(6)]);
    const outcome = serve(channel, (request, reply) => {
      if (request.uniqueLo === 4) throw new Error('boom');
      reply.ok(0);
      return REPLY_READY;
    });
    expect(outcome).toBe('unmounted');
    expect(channel.replies).toEqual([
      [4, -5],
      [6, 0],
    ]);
    expect(failures).toEqual(['LOOKUP Error: boom']);
    expect(finished).toEqual([
      [1, -5],
      [1, 0],
    ]);
  });

  it('answers ENOSYS for an unknown opcode and a negative outcome with that errno', () => {
    const channel = new ScriptedChannel([message(4000, 2, bytes()), message(7, 3, bytes()), lookup(4)]);
    serve(channel, () => -2);
    expect(channel.replies).toEqual([
      [2, -38],
      [3, -38],
      [4, -2],
    ]);
  });

  it('answers EIO for a malformed request and nothing for a malformed FORGET or a cut header', () => {
    const channel = new ScriptedChannel([
      message(abi.FUSE_LOOKUP, 2, bytes('no end')),
      message(abi.FUSE_FORGET, 3, bytes('abc')),
      message(abi.FUSE_BATCH_FORGET, 4, bytes()),
      () => 12,
    ]);
    serve(channel, () => expect.fail('dispatched'));
    expect(channel.replies).toEqual([[2, -5]]);
  });

  it('sends nothing for NO_REPLY, LATER, or a FORGET that throws', () => {
    const outcomes = [NO_REPLY, LATER];
    const channel = new ScriptedChannel([
      lookup(2),
      lookup(3),
      message(abi.FUSE_FORGET, 4, new Uint8Array(8)),
    ]);
    serve(channel, () => outcomes.shift() ?? expect.fail('third'));
    expect(channel.replies).toEqual([]);
    expect(failures).toHaveLength(1);
  });

  it('answers EIO in place of a reply the kernel refuses', () => {
    const channel = new ScriptedChannel([lookup(8)]);
    channel.refuse = 1;
    serve(channel, (_, reply) => {
      reply.ok(0);
      return REPLY_READY;
    });
    expect(channel.replies).toEqual([[8, -5]]);
    expect(failures).toHaveLength(1);
    expect(undeliveredReplies).toEqual([8]);
  });

  it('takes back a reply to a request that was interrupted, which counts as answered', () => {
    const channel = new ScriptedChannel([lookup(8), lookup(10)]);
    channel.refuse = 1;
    channel.refusal = -2;
    serve(channel, (_, reply) => {
      reply.ok(0);
      return REPLY_READY;
    });
    expect(undeliveredReplies).toEqual([8]);
    expect(channel.replies).toEqual([[10, 0]]);
    expect(failures).toEqual([]);
  });

  it('takes nothing back when the connection is over', () => {
    const channel = new ScriptedChannel([lookup(8)]);
    channel.refuse = 1;
    channel.refusal = -19;
    serve(channel, (_, reply) => {
      reply.ok(0);
      return REPLY_READY;
    });
    expect([undeliveredReplies, failures]).toEqual([[], []]);
  });

  it('stops when the doorbell hook says so', () => {
    hooks.rang = () => false;
    expect(serve(new ScriptedChannel([() => RANG, lookup(2)]), () => expect.fail('dispatched'))).toBe(
      'stopped',
    );
  });

  it('with onlyUid refuses users other than that one and root', () => {
    const channel = new ScriptedChannel([lookup(2, 1000), lookup(3, 0), lookup(4, 1001)]);
    serve(channel, () => -2, { onlyUid: 1000 });
    expect(channel.replies).toEqual([
      [2, -2],
      [3, -2],
      [4, -13],
    ]);
  });
});
