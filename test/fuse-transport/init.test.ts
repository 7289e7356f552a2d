import { describe, expect, it } from 'vitest';
import * as abi from '../../fuse/protocol/abi.ts';
import { negotiate, wantedFlags } from '../../fuse/protocol/init.ts';
import { Reply } from '../../fuse/protocol/reply.ts';
import { Request } from '../../fuse/protocol/request.ts';
import { put, words } from './messages.ts';

/** The INIT request of Linux 6.18 (7.45), as read from /dev/fuse. */
const RECORDED_45 =
  '680000001a00000002000000000000000000000000000000000000000000000000000000000000000700000' +
  '02d00000000000200fbffff73fd0500000000000000000000000000000000000000000000000000000000000' +
  '000000000000000000000000000000000';
/**
 * The INIT requests of other kernels, put together as fs/fuse/inode.c of each does it (`fuse_send_init`, since 6.14
 * `fuse_new_init`): no such kernel runs here. What they offer a mount of /dev/fuse, bit by bit:
 * - 5.4 (7.31): bits 0 … 25 but FILE_OPS (bit 2, of CUSE). `struct fuse_init_in` is four words. 5.10 (7.32) offers a mount of
 *   /dev/fuse the same: MAP_ALIGNMENT and SUBMOUNTS are virtiofs'.
 * - 5.15 (7.34): and HANDLE_KILLPRIV_V2 and SETXATTR_EXT, both since 7.33.
 * - 5.17 (7.36): and INIT_EXT, a second word of flags with SECURITY_CTX, and eleven words unused. HAS_INODE_DAX is virtiofs'.
 *   6.1 (7.37) has a new opcode, TMPFILE, and no flag.
 * - 6.6 (7.39): and CREATE_SUPP_GROUP and HAS_EXPIRE_ONLY (7.38), and DIRECT_IO_RELAX, now called DIRECT_IO_ALLOW_MMAP.
 * - 6.9 (7.40): and PASSTHROUGH where it is configured, NO_EXPORT_SUPPORT, HAS_RESEND. 6.12 (7.41): and ALLOW_IDMAP.
 * - 6.16 (7.44): and REQUEST_TIMEOUT (7.43), and OVER_IO_URING (7.42) where enable_uring is set, as here; 6.18 (7.45) has a new
 *   opcode, COPY_FILE_RANGE_64, and no flag: the recorded one, of a machine where enable_uring was not set.
 */
const OFFERED = [
  { kernel: 'Linux 5.4', minor: 31, flags: 0x03fffffb, flags2: undefined },
  { kernel: 'Linux 5.10', minor: 32, flags: 0x03fffffb, flags2: undefined },
  { kernel: 'Linux 5.15', minor: 34, flags: 0x33fffffb, flags2: undefined },
  { kernel: 'Linux 5.17', minor: 36, flags: 0x73fffffb, flags2: 0x1 },
  { kernel: 'Linux 6.1', minor: 37, flags: 0x73fffffb, flags2: 0x1 },
  { kernel: 'Linux 6.6', minor: 39, flags: 0x73fffffb, flags2: 0x1d },
  { kernel: 'Linux 6.9', minor: 40, flags: 0x73fffffb, flags2: 0xfd },
  { kernel: 'Linux 6.12', minor: 41, flags: 0x73fffffb, flags2: 0x1fd },
  { kernel: 'Linux 6.16', minor: 44, flags: 0x73fffffb, flags2: 0x7fd },
  { kernel: 'Linux 6.18', minor: 45, flags: 0x73fffffb, flags2: 0x5fd },
] as const;
const FLAGS_31 = OFFERED[0].flags;
const FLAGS_36 = OFFERED[3].flags;

/** The whole request, of 56 or 104 bytes: `struct fuse_in_header` (length, INIT, unique 2, the rest zero) and `fuse_init_in`. */
function message(minor: number, flags: number, flags2: number | undefined): Uint8Array {
  const header = [0, abi.FUSE_INIT, 2, 0, 0, 0, 0, 0, 0, 0];
  const extension = flags2 === undefined ? [] : [flags2, ...new Array(11).fill(0)];
  const sent = words(...header, 7, minor, 131_072, flags, ...extension);
  new DataView(sent.buffer, sent.byteOffset).setUint32(0, sent.length, true);
  return sent;
}

function parsed(sent: Uint8Array): Request {
  const request = new Request();
  request.u8.set(sent);
  expect(request.parse(sent.length)).toBe(true);
  return request;
}
const KILLPRIV_V2 = abi.FUSE_HANDLE_KILLPRIV_V2;

const wanted = wantedFlags({ writeback: true, dataCache: 'explicit', accessLists: true });
const has = (flags: number, flag: number): boolean => (flags & flag) !== 0;

function init(major: number, minor: number, flags: number, flags2?: number) {
  const request = new Request();
  const reply = new Reply();
  const body = words(
    major,
    minor,
    131072,
    flags,
    ...(flags2 === undefined ? [] : [flags2, ...new Array(11).fill(0)]),
  );
  const isParsed = request.parse(put(request, { opcode: abi.FUSE_INIT, unique: 2 }, body));
  expect(isParsed).toBe(true);
  return { agreed: negotiate(request, reply, wanted), out: reply.u32.slice(4, 20), reply };
}

describe('INIT', () => {
  it('of 7.31 (Linux 5.4, 16-byte body) agrees without the flags that came later', () => {
    const { agreed, out, reply } = init(7, 31, FLAGS_31);
    expect(agreed).toMatchObject({ minor: 31, flags2: 0, maxWrite: 1 << 20, maxReadahead: 131072 });
    expect(agreed!.flags & (abi.FUSE_INIT_EXT | abi.FUSE_SETXATTR_EXT | KILLPRIV_V2)).toBe(0);
    expect(agreed!.flags & abi.FUSE_NO_OPENDIR_SUPPORT).not.toBe(0);
    expect(agreed!.flags & abi.FUSE_HANDLE_KILLPRIV).toBe(0);
    expect(has(agreed!.flags, abi.FUSE_POSIX_ACL) && has(agreed!.flags, abi.FUSE_DONT_MASK)).toBe(true);
    expect([out[0], out[1], out[5], out[6], out[7]]).toEqual([7, 31, 1 << 20, 1, 256]);
    expect(reply.length).toBe(16 + 64);
  });

  it.each(OFFERED)(
    'of $kernel: passthrough where it is offered and wanted, with the depth of stacking, and never with writeback',
    (offer) => {
      const isOffered = ((offer.flags2 ?? 0) & abi.FUSE_PASSTHROUGH_2) !== 0;
      for (const [passthrough, writeback] of [
        [true, false],
        [true, true],
        [false, false],
      ]) {
        const request = parsed(message(offer.minor, offer.flags, offer.flags2));
        const reply = new Reply();
        const asked = wantedFlags({
          writeback: writeback!,
          dataCache: 'explicit',
          passthrough: passthrough!,
        });
        const agreed = negotiate(request, reply, asked);
        const isDue = isOffered && passthrough && !writeback;
        expect(has(agreed!.flags2, abi.FUSE_PASSTHROUGH_2)).toBe(isDue);
        expect(reply.u32[4 + 9]).toBe(isDue ? 1 : 0);
      }
    },
  );

  it('of 7.36 (Linux 5.17) agrees on the extended flags', () => {
    const { agreed } = init(7, 36, FLAGS_36, 0x1);
    expect(agreed!.minor).toBe(36);
    expect(agreed!.flags & abi.FUSE_INIT_EXT).not.toBe(0);
    expect(agreed!.flags & abi.FUSE_SETXATTR_EXT).not.toBe(0);
    expect(agreed!.flags & KILLPRIV_V2).not.toBe(0);
  });

  it('of 7.39 (Linux 6.6) does not take flags that nobody asked for', () => {
    const { agreed, out } = init(7, 39, FLAGS_36, 0x1d);
    expect(agreed!.minor).toBe(39);
    expect(agreed!.flags2).toBe(0);
    expect(out[8]).toBe(0);
    for (const flag of [abi.FUSE_ATOMIC_O_TRUNC, abi.FUSE_POSIX_LOCKS, abi.FUSE_FLOCK_LOCKS]) {
      expect(agreed!.flags & flag).toBe(0);
    }
  });

  it('lists of access come with the raw mode, or not at all', () => {
    const without = wantedFlags({ writeback: false, dataCache: 'explicit' }).flags;
    expect(has(without, abi.FUSE_POSIX_ACL) || has(without, abi.FUSE_DONT_MASK)).toBe(false);
    const old = init(7, 31, FLAGS_31 & ~abi.FUSE_POSIX_ACL).agreed!.flags;
    expect(has(old, abi.FUSE_POSIX_ACL)).toBe(false);
  });

  it('put together for 7.45 is the recorded one, byte for byte', () => {
    const { minor, flags, flags2 } = OFFERED.at(-1)!;
    expect(Buffer.from(message(minor, flags, flags2)).toString('hex')).toBe(RECORDED_45);
  });

  it.each(OFFERED)(
    'of 7.$minor, as $kernel sends it: what is offered and wanted, and nothing else',
    ({ minor, flags, flags2 }) => {
      const sent = message(minor, flags, flags2);
      expect(sent.length).toBe(minor < 36 ? 56 : 104);
      const reply = new Reply();
      const agreed = negotiate(parsed(sent), reply, wanted)!;
      expect(agreed).toMatchObject({ minor, flags: flags & wanted.flags, flags2: 0 });
      expect(has(agreed.flags, KILLPRIV_V2)).toBe(minor >= 33);
      expect(has(agreed.flags, abi.FUSE_SETXATTR_EXT)).toBe(minor >= 33);
      expect(has(agreed.flags, abi.FUSE_INIT_EXT)).toBe(minor >= 36);
      expect([reply.u32[4], reply.u32[5], reply.u32[9], reply.u32[12]]).toEqual([7, minor, 1 << 20, 0]);
    },
  );

  it('of 7.45 (Linux 6.18, recorded) agrees to everything wanted', () => {
    const request = parsed(Buffer.from(RECORDED_45, 'hex'));
    const reply = new Reply();
    const { flags, flags2, background } = wanted;
    const agreed = negotiate(request, reply, wanted);
    expect(reply.u32[4 + 4]).toBe(background | ((background * 0.75) << 16));
    expect(agreed).toEqual({ minor: 45, flags, flags2, maxWrite: 1 << 20, maxReadahead: 131072 });
  });

  it('of a later minor is answered with 7.45', () => {
    const later = init(7, 99, -1, -1);
    expect(later.agreed!.minor).toBe(45);
    expect(later.agreed!.flags >>> 0).toBe(wanted.flags >>> 0);
  });

  it('without MAX_PAGES falls back to 128 KiB requests', () => {
    const { agreed, out } = init(7, 31, FLAGS_31 & ~abi.FUSE_MAX_PAGES);
    expect(agreed!.maxWrite).toBe(128 * 1024);
    expect(out[7]).toBe(32);
  });

  it('takes AUTO_INVAL_DATA or EXPLICIT_INVAL_DATA, never both, and writeback only where wanted', () => {
    const auto = wantedFlags({ writeback: false, dataCache: 'auto' }).flags;
    expect(auto & abi.FUSE_AUTO_INVAL_DATA).not.toBe(0);
    expect(auto & (abi.FUSE_EXPLICIT_INVAL_DATA | abi.FUSE_WRITEBACK_CACHE)).toBe(0);
    expect(wanted.flags & abi.FUSE_AUTO_INVAL_DATA).toBe(0);
    expect(wanted.flags & abi.FUSE_WRITEBACK_CACHE).not.toBe(0);
  });

  it('of a kernel before 5.4 or another major is refused, and of a later major offered 7', () => {
    for (const [major, minor] of [
      [7, 30],
      [6, 99],
      [0, 0],
    ] as const) {
      const { agreed, reply } = init(major, minor, -1);
      expect(agreed).toBeUndefined();
      expect(reply.i32[1]).toBe(-71);
    }
    const later = init(8, 0, -1);
    expect(later.agreed).toBeUndefined();
    expect([later.reply.i32[1], later.out[0], later.out[1]]).toEqual([0, 7, 45]);
  });
});
