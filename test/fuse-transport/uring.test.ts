/** The memory of FUSE over io_uring: its layout, and who may do what to an entry. The kernel's part is in test/e2e/uring.test.ts. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  FUSE_IN_HEADER_BYTES,
  FUSE_LOOKUP,
  FUSE_READ,
  FUSE_WRITE,
  URING_ENT_COMMIT_ID,
  URING_ENT_PAYLOAD_SZ,
  URING_REQ_HEADER_OP_IN,
} from '../../fuse/protocol/abi.ts';
import { BODY, Reply } from '../../fuse/protocol/reply.ts';
import { Request } from '../../fuse/protocol/request.ts';
import {
  ANSWERED,
  ANSWERING,
  ARRIVED,
  depthOf,
  formatUring,
  IN_KERNEL,
  planUring,
  SERVED,
  URING,
  UringMemory,
} from '../../fuse/session/uring-memory.ts';
import { EIO, ENOENT } from '../../runtime/errno.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { addressOf } from '../../runtime/system/io-uring.ts';

const QUEUES = 2;
const ROWS = 3;

function make() {
  const arena = Arena.create([planUring(QUEUES, ROWS)]);
  const region = arena.region(URING);
  formatUring(region, QUEUES, ROWS, ROWS);
  const memory = new UringMemory(region);
  const base = addressOf(arena.buffer);
  const all = new Uint8Array(arena.buffer);
  const header = (entry: number) => Number(memory.headerAddress(entry) - base);
  const payload = (entry: number) => Number(memory.payloadAddress(entry) - base);
  return { memory, all, words: new DataView(arena.buffer), header, payload };
}

type Made = ReturnType<typeof make>;

/** What the kernel does with a request: the parts of a message in their places. */
function put({ all, words, header, payload }: Made, entry: number, message: Uint8Array, op: number): void {
  const rest = message.subarray(FUSE_IN_HEADER_BYTES + op);
  all.set(message.subarray(0, FUSE_IN_HEADER_BYTES), header(entry));
  all.set(
    message.subarray(FUSE_IN_HEADER_BYTES, FUSE_IN_HEADER_BYTES + op),
    header(entry) + URING_REQ_HEADER_OP_IN,
  );
  all.set(rest, payload(entry));
  all.set(message.subarray(8, 16), header(entry) + URING_ENT_COMMIT_ID);
  words.setUint32(header(entry) + URING_ENT_PAYLOAD_SZ, rest.length, true);
}

function messageOf(opcode: number, unique: number, op: Uint8Array, rest: Uint8Array): Uint8Array {
  const message = new Uint8Array(FUSE_IN_HEADER_BYTES + op.length + rest.length);
  const words = new DataView(message.buffer);
  words.setUint32(0, message.length, true);
  words.setUint32(4, opcode, true);
  words.setUint32(8, unique, true);
  words.setUint32(16, 1, true);
  message.set(op, FUSE_IN_HEADER_BYTES);
  message.set(rest, FUSE_IN_HEADER_BYTES + op.length);
  return message;
}

describe('entries', () => {
  test('on every machine a queue has some, and all together take no more than a gigabyte of addresses', () => {
    for (const queues of [1, 2, 8, 64, 240]) {
      expect(depthOf(queues)).toBeGreaterThanOrEqual(4);
      expect(planUring(queues, 16).bytes).toBeLessThan(2 ** 30 + 2 ** 28);
    }
  });

  test('every queue has an owner among the rows, neighbours the same', () => {
    const { memory } = make();
    expect([0, 1].map((queue) => memory.ownerOf(queue))).toEqual([0, 1]);
    expect(memory.queueOf(memory.depth - 1)).toBe(0);
    expect(memory.queueOf(memory.depth)).toBe(1);
  });

  test('a request in its parts is read as read(2) would have put it there', () => {
    const made = make();
    const request = new Request();
    fc.assert(
      fc.property(
        fc.constantFrom(FUSE_LOOKUP, FUSE_READ, FUSE_WRITE),
        fc.integer({ min: 0, max: 16 }).map((n) => n * 8),
        fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 9000, maxLength: 9100 })),
        fc.nat({ max: QUEUES * depthOf(QUEUES) - 1 }),
        (opcode, op, rest, entry) => {
          const message = messageOf(opcode, 2 * entry + 2, new Uint8Array(op).fill(7), rest);
          put(made, entry, message, op);
          made.memory.arrived(entry);
          expect(made.memory.copyRequest(entry, request.u8, request.u32)).toBe(message.length);
          expect(Buffer.compare(request.u8.subarray(0, message.length), message)).toBe(0);
          expect(made.memory.find(2 * entry + 2, 0)).toBe(entry);
          made.memory.setState(entry, IN_KERNEL);
        },
      ),
    );
  });

  test('lengths that contradict each other are no request', () => {
    const made = make();
    const request = new Request();
    const message = messageOf(FUSE_READ, 2, new Uint8Array(40), new Uint8Array(0));
    for (const payload of [1, 41, 2 ** 31, 2 ** 32 - 1]) {
      put(made, 0, message, 40);
      made.words.setUint32(made.header(0) + URING_ENT_PAYLOAD_SZ, payload, true);
      const length = made.memory.copyRequest(0, request.u8, request.u32);
      expect(length === 0 || payload <= 40, String(payload)).toBe(true);
    }
    put(made, 0, message, 40);
    made.words.setUint32(made.header(0), 2 ** 31, true);
    expect(made.memory.copyRequest(0, request.u8, request.u32)).toBe(0);
  });
});

describe('answers', () => {
  function served(made: Made, entry: number, unique: number): void {
    put(made, entry, messageOf(FUSE_LOOKUP, unique, new Uint8Array(0), new Uint8Array(2)), 0);
    made.memory.arrived(entry);
    made.memory.setState(entry, SERVED);
  }

  function replyTo(unique: number, bytes: number): Reply {
    const reply = new Reply();
    reply.beginUnique(unique, 0);
    reply.u8.fill(bytes & 0xff, BODY, BODY + bytes);
    reply.ok(bytes);
    return reply;
  }

  test('of any length lie whole in the entry, header and payload apart', () => {
    const made = make();
    for (const bytes of [0, 1, 7, 128, 255, 256, 257, 5000]) {
      served(made, 5, 2);
      made.memory.reply(5, replyTo(2, bytes));
      expect(made.memory.stateOf(5)).toBe(ANSWERED);
      expect(made.words.getUint32(made.header(5), true)).toBe(16 + bytes);
      expect(made.words.getUint32(made.header(5) + URING_ENT_PAYLOAD_SZ, true)).toBe(bytes);
      const at = made.payload(5);
      expect(made.all.subarray(at, at + bytes).every((byte) => byte === (bytes & 0xff))).toBe(true);
    }
  });

  test('by another thread are noticed by the owner, and given once', () => {
    const made = make();
    const { memory } = made;
    served(made, memory.depth, 4);
    const before = memory.noticesOf(1);
    expect(memory.answer(memory.depth, replyTo(4, 8), 9)).toBe(0);
    expect(memory.noticesOf(1)).toBe(before + 1);
    expect(memory.answer(memory.depth, replyTo(4, 8), 10)).toBe(-ENOENT);
    expect(memory.find(4, 0)).toBe(-1);
  });

  test('of a thread that died over it can be given by another one', () => {
    const made = make();
    const { memory } = made;
    served(made, 1, 6);
    memory.setState(1, ANSWERING | (3 << 8));
    const error = new Reply();
    error.beginUnique(6, 0);
    error.error(-EIO);
    expect(memory.find(6, 0)).toBe(1);
    expect(memory.answer(1, error, 4)).toBe(0);
    expect(made.words.getInt32(made.header(1) + 4, true)).toBe(-EIO);
  });

  test('are not given to an entry that the kernel has', () => {
    const { memory } = make();
    memory.setState(0, IN_KERNEL);
    expect(memory.answer(0, replyTo(2, 8), 1)).toBe(-ENOENT);
    memory.setState(0, ARRIVED);
    expect(memory.answer(0, replyTo(2, 8), 1)).toBe(0);
  });
});
