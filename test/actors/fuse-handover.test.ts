import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { setConnection } from '../../actors/connection.ts';
import { FuseHandover } from '../../actors/fuse/handover.ts';
import { FORGET_INODE, FORGET_NAME, QUERY, SYNC } from '../../actors/messages.ts';
import { openPending, type Pending } from '../../actors/pending.ts';
import { readQuery } from '../../actors/query-messages.ts';
import { JOURNAL } from '../../actors/regions.ts';
import { FUSE_FSYNC } from '../../fuse/protocol/abi.ts';
import { LATER } from '../../fuse/session/server.ts';
import type { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { EINTR, EIO } from '../../runtime/errno.ts';
import { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import { take, World } from './world.ts';

const NO_TREE = {} as VirtualTree;
const NAME = Buffer.from('..what is asked..');

let world: World;
let handover: FuseHandover;
let answerer: Pending;
beforeEach(() => {
  world = new World({ shards: 1, fuse: 1, io: 1 });
  const fuse = world.actor('fuse-0');
  const journal = new JournalWriter(fuse.arena.region(JOURNAL));
  journal.append(1, 8);
  journal.commit();
  handover = new FuseHandover(fuse, NO_TREE, openPending(fuse));
  answerer = openPending(world.actor('io-0'));
});

/** A successor of the fuse actor, with its own view of what it had handed over. */
function successor(): FuseHandover {
  const context = world.actor('fuse-0');
  const second = { ...context, settings: { ...context.settings, incarnation: 2 } };
  return new FuseHandover(second, NO_TREE, openPending(second));
}

/** An fsync that io-0 is to answer. */
function syncLater(from: FuseHandover): void {
  expect(from.sync(FUSE_FSYNC, 10, 1)).toBe(LATER);
  from.commits.handOver();
}

describe('an fsync or a search that is handed over', () => {
  it('comes with the slot under which exactly one may answer it', () => {
    syncLater(handover);
    expect(handover.query(12, 1, 2, 3, 4, 5, 6, 7, 8, NAME, 2, 4)).toBe(true);
    const [sync] = take(world.actor('io-0'));
    const [query] = take(world.actor('indexer'));
    expect([sync!.kind, query!.kind]).toEqual([SYNC, QUERY]);
    const { slot, text } = readQuery(query!.u8, query!.u32, 0);
    expect(Buffer.from(text).toString()).toBe('what');
    expect(answerer.take(sync!.u32[2]!, 10, 1)).toBe(true);
    expect(answerer.take(slot, 12, 1)).toBe(true);
  });

  it('is refused, and no message sent, when as many wait as there is room for', () => {
    const pending = openPending(world.actor('fuse-0'));
    while (pending.enter(SYNC, 1, 0, FUSE_FSYNC) >= 0);
    expect(handover.sync(FUSE_FSYNC, 10, 1)).toBe(-EIO);
    handover.commits.handOver();
    expect(handover.query(12, 1, 2, 3, 4, 5, 6, 7, 8, NAME, 2, 4)).toBe(false);
    expect([take(world.actor('io-0')), take(world.actor('indexer'))]).toEqual([[], []]);
  });

  it('a search that is interrupted is answered EINTR, once, and an fsync is not', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'vexfs-interrupt-')), 'connection');
    const descriptor = openSync(file, 'w+');
    setConnection(world.actor('main').arena, { descriptor, flags: 0, standBy: -1 });
    syncLater(handover);
    handover.query(12, 1, 2, 3, 4, 5, 6, 7, 8, NAME, 2, 4);
    for (const unique of [10, 11, 12, 12]) handover.interrupt(unique, 1);
    const sent = readFileSync(file);
    closeSync(descriptor);
    rmSync(dirname(file), { recursive: true });
    expect([sent.length, sent.readInt32LE(4), sent.readUInt32LE(8), sent.readUInt32LE(12)]).toEqual([
      16,
      -EINTR,
      12,
      1,
    ]);
    const [query] = take(world.actor('indexer'));
    expect(answerer.take(readQuery(query!.u8, query!.u32, 0).slot, 12, 1)).toBe(false);
    expect(answerer.take(take(world.actor('io-0'))[0]!.u32[2]!, 10, 1)).toBe(true);
  });

  it('and whose sender died before it was done with it, is asked again, and answered once', () => {
    syncLater(handover);
    const [first] = take(world.actor('io-0'));
    const next = successor();
    next.withdraw(10, 1);
    syncLater(next);
    const [second] = take(world.actor('io-0'));
    const slots = [first!.u32[2]!, second!.u32[2]!];
    const taken = slots.filter((slot) => answerer.take(slot, 10, 1));
    expect(taken).toHaveLength(1);
    answerer.answered(taken[0]!);
    expect(answerer.waiting).toBe(0);
  });

  it('and whose sender died between entering it and sending the message, waits for nobody', () => {
    const pending = openPending(world.actor('fuse-0'));
    pending.enter(SYNC, 10, 1, FUSE_FSYNC);
    successor().withdraw(10, 1);
    expect(pending.waiting).toBe(0);
  });

  it('is left to its answerer when that one has it already', () => {
    syncLater(handover);
    const slot = take(world.actor('io-0'))[0]!.u32[2]!;
    answerer.take(slot, 10, 1);
    successor().withdraw(10, 1);
    expect(answerer.waiting).toBe(1);
    answerer.answered(slot);
    expect(answerer.waiting).toBe(0);
  });
});

it('names and inodes that the kernel is to forget go to main', () => {
  handover.forgetName(1, 2, NAME, 2, 4);
  handover.forgetInode(7, 8);
  const [name, inode] = take(world.actor('main'));
  expect([name!.kind, ...name!.u32.subarray(0, 3), Buffer.from(name!.u8.subarray(12)).toString()]).toEqual([
    FORGET_NAME,
    1,
    2,
    4,
    'what',
  ]);
  expect([inode!.kind, ...inode!.u32]).toEqual([FORGET_INODE, 7, 8]);
});
