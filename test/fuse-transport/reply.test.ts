import { describe, expect, it } from 'vitest';
import { Attr } from '../../fuse/protocol/attr.ts';
import * as encode from '../../fuse/protocol/reply.ts';
import { BODY, Reply } from '../../fuse/protocol/reply.ts';

const attr = Object.assign(new Attr(), {
  ino: 0xfffffff0,
  inoHi: 3,
  mode: 0o100644,
  nlink: 2,
  uid: 1000,
  gid: 1001,
  rdev: 5,
  size: 2 ** 40 + 7,
  blocks: 2 ** 31 + 1,
  atime: -1,
  atimeNs: 999_999_999,
  mtime: 2 ** 33,
  mtimeNs: 1,
  ctime: 1_700_000_000,
  ctimeNs: 2,
  generation: 9,
});

function dirty(): { reply: Reply; view: DataView } {
  const reply = new Reply();
  reply.u8.fill(0xaa);
  return { reply, view: new DataView(reply.u8.buffer) };
}

function expectAttr(view: DataView, at: number): void {
  expect(view.getBigUint64(at, true)).toBe((3n << 32n) | 0xfffffff0n);
  expect(view.getBigUint64(at + 8, true)).toBe(2n ** 40n + 7n);
  expect(view.getBigUint64(at + 16, true)).toBe(2n ** 31n + 1n);
  expect([24, 32, 40].map((o) => view.getBigInt64(at + o, true))).toEqual([-1n, 2n ** 33n, 1_700_000_000n]);
  expect([48, 52, 56, 60, 64, 68, 72, 76, 80, 84].map((o) => view.getUint32(at + o, true))).toEqual([
    999_999_999, 1, 2, 0o100644, 2, 1000, 1001, 5, 4096, 0,
  ]);
}

describe('reply encoders', () => {
  it('fuse_entry_out carries node, generation, both cache times and the attributes', () => {
    const { reply, view } = dirty();
    expect(encode.encodeEntryOut(reply.u32, BODY, attr, encode.FOREVER, 1.5)).toBe(128);
    expect(view.getBigUint64(16, true)).toBe((3n << 32n) | 0xfffffff0n);
    expect([24, 32, 40].map((o) => view.getBigUint64(o, true))).toEqual([9n, 1_000_000_000n, 1n]);
    expect([48, 52].map((o) => view.getUint32(o, true))).toEqual([0, 500_000_000]);
    expectAttr(view, 56);
    expect(view.getUint8(144)).toBe(0xaa);
  });

  it('fuse_attr_out, fuse_open_out, fuse_write_out, fuse_getxattr_out and fuse_lseek_out have their sizes', () => {
    const { reply, view } = dirty();
    expect(encode.encodeAttrOut(reply.u32, BODY, attr, 0)).toBe(104);
    expect(view.getBigUint64(16, true)).toBe(0n);
    expectAttr(view, 32);
    expect(encode.encodeOpenOut(reply.u32, 200, 6)).toBe(16);
    expect(view.getUint32(208, true)).toBe(6);
    expect(encode.encodeWriteOut(reply.u32, 200, 77)).toBe(8);
    expect(encode.encodeGetxattrOut(reply.u32, 208, 78)).toBe(8);
    expect(encode.encodeLseekOut(reply.u32, 216, 2 ** 45)).toBe(8);
    expect([200, 208, 216].map((o) => view.getBigUint64(o, true))).toEqual([77n, 78n, 2n ** 45n]);
  });

  it('a negative entry is node 0 with a cache time', () => {
    const { reply, view } = dirty();
    expect(encode.encodeNegativeEntryOut(reply.u32, BODY, 60)).toBe(128);
    expect(view.getBigUint64(BODY, true)).toBe(0n);
    expect(view.getBigUint64(BODY + 16, true)).toBe(60n);
    expect(view.getUint32(BODY + 40 + 60, true)).toBe(0);
  });

  it('fuse_statfs_out is 80 bytes with clean spares', () => {
    const { reply, view } = dirty();
    expect(encode.encodeStatfsOut(reply.u32, BODY, 2 ** 33, 3, 2, 100, 50, 4096, 255)).toBe(80);
    expect([0, 8, 16, 24, 32].map((o) => view.getBigUint64(BODY + o, true))).toEqual([
      2n ** 33n,
      3n,
      2n,
      100n,
      50n,
    ]);
    expect([40, 44, 48, 52, 76].map((o) => view.getUint32(BODY + o, true))).toEqual([4096, 255, 4096, 0, 0]);
  });

  it.each([1, 7, 8, 9, 16, 255])(
    'directory entries with a name of %i bytes are padded with zeros to 8',
    (n) => {
      const name = Buffer.alloc(n, 'x');
      for (const plus of [false, true]) {
        const { reply, view } = dirty();
        const bytes = plus
          ? encode.encodeDirentplus(reply, BODY, attr, 1, 1, 11, 12, name, 0, n)
          : encode.encodeDirent(reply, BODY, 4, 0, 11, 12, 8, name, 0, n);
        expect(bytes).toBe(encode.direntBytes(n, plus));
        expect(bytes % 8).toBe(0);
        const at = BODY + (plus ? 128 : 0);
        expect([8, 12, 16, 20].map((o) => view.getUint32(at + o, true))).toEqual([11, 12, n, 8]);
        const tail = reply.u8.subarray(at + 24, BODY + bytes);
        expect(Buffer.from(tail.subarray(0, n)).toString()).toBe('x'.repeat(n));
        expect([...tail.subarray(n)].every((b) => b === 0)).toBe(true);
        expect(reply.u8[BODY + bytes]).toBe(0xaa);
      }
    },
  );

  it('ends as success, error or notification with the right header', () => {
    const { reply, view } = dirty();
    reply.beginUnique(5, 6);
    reply.ok(8);
    expect([0, 4, 8, 12].map((o) => view.getInt32(o, true))).toEqual([24, 0, 5, 6]);
    reply.error(-2);
    expect([0, 4, 8, 12].map((o) => view.getInt32(o, true))).toEqual([16, -2, 5, 6]);
    expect(() => reply.error(2)).toThrow('negative errno');
    expect(() => reply.ok(reply.u8.length)).toThrow('fits its buffer');
    reply.notifyInvalEntry(1, 0, Buffer.from('gone'), 0);
    expect([0, 4, 8, 12, 16, 24].map((o) => view.getInt32(o, true))).toEqual([16 + 16 + 5, 3, 0, 0, 1, 4]);
    expect(Buffer.from(reply.u8.subarray(32, 37)).toString()).toBe('gone\0');
    reply.notifyInvalInode(7, 0, -1, 0);
    expect([reply.length, view.getInt32(4, true), Number(view.getBigInt64(24, true))]).toEqual([40, 2, -1]);
  });
});
