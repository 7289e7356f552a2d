import { describe, expect, it } from 'vitest';
import * as abi from '../../fuse/protocol/abi.ts';
import { Request } from '../../fuse/protocol/request.ts';
import { seeded, testSeed } from '../seed.ts';
import { bytes, put, words } from './messages.ts';

const text = (request: Request, start: number, end: number) =>
  Buffer.from(request.u8.subarray(start, end)).toString();

describe('Request.parse', () => {
  const request = new Request();

  it('decodes the header, word by word', () => {
    const length = put(
      request,
      { opcode: abi.FUSE_GETATTR, unique: 6, node: 9, uid: 1, gid: 2, pid: 3 },
      new Uint8Array(16),
    );
    request.u32[3] = 7;
    request.u32[5] = 8;
    expect(request.parse(length)).toBe(true);
    const { opcode, uniqueLo, uniqueHi, nodeLo, nodeHi, uid, gid, pid, end } = request;
    expect([opcode, uniqueLo, uniqueHi, nodeLo, nodeHi, uid, gid, pid, end]).toEqual([
      3, 6, 7, 9, 8, 1, 2, 3, 56,
    ]);
  });

  it('finds one name, both names of a rename, and name and target of a symlink', () => {
    expect(request.parse(put(request, { opcode: abi.FUSE_LOOKUP }, bytes('häuser\0')))).toBe(true);
    expect(text(request, request.nameStart, request.nameEnd)).toBe('häuser');
    expect(
      request.parse(put(request, { opcode: abi.FUSE_RENAME2 }, bytes(words(5, 0, 1, 0), 'old\0', 'newer\0'))),
    ).toBe(true);
    expect(text(request, request.nameStart, request.nameEnd)).toBe('old');
    expect(text(request, request.name2Start, request.name2End)).toBe('newer');
    expect([request.u64(abi.RENAME2_IN_NEWDIR), request.word(abi.RENAME2_IN_FLAGS)]).toEqual([5, 1]);
    expect(request.parse(put(request, { opcode: abi.FUSE_SYMLINK }, bytes('link\0', '../a/b\0')))).toBe(true);
    expect(text(request, request.name2Start, request.name2End)).toBe('../a/b');
  });

  it('finds the payload of WRITE, SETXATTR in both layouts, and BATCH_FORGET', () => {
    const write = words(0, 0, 4096, 0, 5, 0, 0, 0, 0, 0);
    expect(request.parse(put(request, { opcode: abi.FUSE_WRITE }, bytes(write, 'hello')))).toBe(true);
    expect(text(request, request.dataStart, request.dataEnd)).toBe('hello');
    expect(request.u64(abi.WRITE_IN_OFFSET)).toBe(4096);
    request.setxattrExt = true;
    expect(
      request.parse(
        put(request, { opcode: abi.FUSE_SETXATTR }, bytes(words(3, 1, 0, 0), 'user.a\0', 'v\0w')),
      ),
    ).toBe(true);
    expect(text(request, request.nameStart, request.nameEnd)).toBe('user.a');
    expect(text(request, request.dataStart, request.dataEnd)).toBe('v\0w');
    request.setxattrExt = false;
    expect(
      request.parse(put(request, { opcode: abi.FUSE_SETXATTR }, bytes(words(3, 1), 'user.a\0', 'v\0w'))),
    ).toBe(true);
    expect(text(request, request.dataStart, request.dataEnd)).toBe('v\0w');
    request.setxattrExt = true;
    expect(
      request.parse(put(request, { opcode: abi.FUSE_BATCH_FORGET }, words(2, 0, 7, 0, 1, 0, 8, 0, 2, 0))),
    ).toBe(true);
    expect(request.dataEnd - request.dataStart).toBe(32);
  });

  it('reads signed seconds and offsets above 2^32 exactly', () => {
    const body = new DataView(new ArrayBuffer(88));
    body.setBigInt64(abi.SETATTR_IN_MTIME, -5n, true);
    body.setBigUint64(abi.SETATTR_IN_SIZE, 2n ** 52n + 1n, true);
    expect(request.parse(put(request, { opcode: abi.FUSE_SETATTR }, new Uint8Array(body.buffer)))).toBe(true);
    expect(request.s64(abi.SETATTR_IN_MTIME)).toBe(-5);
    expect(request.u64(abi.SETATTR_IN_SIZE)).toBe(2 ** 52 + 1);
  });

  it('skips extensions after the body', () => {
    expect(
      request.parse(
        put(
          request,
          { opcode: abi.FUSE_MKDIR, extensionWords: 2 },
          bytes(words(0o755, 0), 'dir\0', new Uint8Array(16)),
        ),
      ),
    ).toBe(true);
    expect(text(request, request.nameStart, request.nameEnd)).toBe('dir');
    expect(request.end).toBe(40 + 8 + 4);
  });

  it.each([
    ['a name without its end', abi.FUSE_LOOKUP, bytes('abc')],
    ['an empty name', abi.FUSE_LOOKUP, bytes('\0')],
    ['no name', abi.FUSE_UNLINK, bytes()],
    ['only one name of two', abi.FUSE_RENAME, bytes(words(5, 0), 'a\0')],
    ['a cut struct', abi.FUSE_SETATTR, new Uint8Array(80)],
    ['a payload shorter than it says', abi.FUSE_WRITE, bytes(words(0, 0, 0, 0, 6, 0, 0, 0, 0, 0), 'hello')],
    ['a forget count that overflows', abi.FUSE_BATCH_FORGET, words(0x10000001, 0, 1, 0, 1, 0)],
  ])('refuses %s', (_, opcode, body) => {
    expect(request.parse(put(request, { opcode }, body))).toBe(false);
  });

  it('refuses a length that the header contradicts, and extensions longer than the message', () => {
    const length = put(request, { opcode: abi.FUSE_LOOKUP }, bytes('abc\0'));
    expect(request.parse(length + 1)).toBe(false);
    expect(request.parse(39)).toBe(false);
    expect(request.uniqueLo).toBe(0);
    expect(request.parse(put(request, { opcode: abi.FUSE_LOOKUP, extensionWords: 9 }, bytes('abc\0')))).toBe(
      false,
    );
  });

  it('survives two seconds of random, cut and inflated messages with every range inside the message', () => {
    const seed = testSeed('damaged messages');
    const below = seeded(seed);
    const small = new Request(undefined, 0, 8192);
    const end = performance.now() + 2000;
    let messages = 0;
    while (performance.now() < end) {
      for (let i = 0; i < 1000; i++, messages++) {
        const length = scramble(small, below);
        if (!small.parse(length)) continue;
        const { nameStart, nameEnd, name2Start, name2End, dataStart, dataEnd } = small;
        const isInside =
          nameStart <= nameEnd &&
          nameEnd <= small.end &&
          name2Start <= name2End &&
          name2End <= small.end &&
          dataStart <= dataEnd &&
          dataEnd <= small.end &&
          small.end <= length &&
          length <= small.u8.length;
        if (!isInside) expect.fail(`out of range: opcode ${small.opcode}, length ${length}, seed ${seed}`);
      }
    }
    expect(messages).toBeGreaterThan(100_000);
  });
});

/** A message that is plausible enough to get past the first checks about half the time. */
function scramble(request: Request, below: (n: number) => number): number {
  const { u8, u32 } = request;
  const length = below(4) === 0 ? below(9000) : below(200);
  const dirty = Math.min(u8.length, length + 16);
  for (let i = 0; i < Math.min(dirty, 260); i++) u8[i] = below(3) === 0 ? 0 : below(256);
  if (below(8) !== 0) u32[0] = length;
  if (below(8) !== 0) u32[1] = below(60);
  if (below(4) !== 0) u32[9] = below(8) === 0 ? below(32) : 0;
  if (below(2) === 0) u32[10] = below(300);
  if (below(2) === 0) u32[14] = below(300);
  request.setxattrExt = below(2) === 0;
  return length;
}
