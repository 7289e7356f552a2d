import { expect, test } from 'vitest';
import { Arena } from '../../runtime/memory/arena.ts';
import {
  Mailbox,
  type MessageHandler,
  Outbox,
  peekMailbox,
  planMailbox,
} from '../../runtime/messaging/mailbox.ts';
import { randomFrom, testSeed } from '../seed.ts';
import { expectMessage, startWorker } from './stress.ts';

function mailboxRegion(lanes: number, bytesPerLane: number) {
  const arena = Arena.create([{ name: 'mailbox', bytes: planMailbox(lanes, bytesPerLane) }]);
  Mailbox.format(arena.region('mailbox'), lanes, bytesPerLane);
  return { arena, region: arena.region('mailbox') };
}

/** Remembers kinds and lanes in order. */
class Recorder implements MessageHandler {
  readonly kinds: number[] = [];
  readonly lanes: number[] = [];
  onMessage(
    kind: number,
    _: Uint8Array,
    __: Uint32Array,
    ___: Float64Array,
    ____: number,
    _____: number,
    lane: number,
  ) {
    this.kinds.push(kind);
    this.lanes.push(lane);
  }
}

test('a message is invisible until sent, then arrives with its payload', () => {
  const { region } = mailboxRegion(1, 1024);
  const mailbox = new Mailbox(region);
  const outbox = new Outbox(region, 0);
  const at = outbox.claim(7, 5);
  outbox.u8.set([1, 2, 3, 4, 5], at);
  expect(mailbox.drain(new Recorder(), 10)).toBe(0);
  outbox.send();
  const received: unknown[] = [];
  mailbox.drain(
    {
      onMessage: (kind, u8, _, __, offset, length) =>
        received.push(kind, ...u8.slice(offset, offset + length)),
    },
    10,
  );
  expect(received).toEqual([7, 1, 2, 3, 4, 5]);
});

test('a full lane refuses, loses nothing, and takes more once drained', () => {
  const { region } = mailboxRegion(1, 256);
  const mailbox = new Mailbox(region);
  const outbox = new Outbox(region, 0);
  let sent = 0;
  while (outbox.claim(sent, 24) >= 0) sent++;
  outbox.send();
  expect(sent).toBe(8);
  expect(mailbox.depth()).toEqual([8]);
  const recorder = new Recorder();
  mailbox.drain(recorder, 100);
  expect(recorder.kinds).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(outbox.claim(8, 24)).toBeGreaterThan(0);
});

test('a record larger than half its ring is a bug', () => {
  const { region } = mailboxRegion(1, 256);
  const outbox = new Outbox(region, 0);
  expect(outbox.claim(1, 120)).toBeGreaterThan(0);
  expect(() => outbox.claim(1, 121)).toThrow('at most half');
});

test('a busy lane delays the others by one batch at most, and the first place goes round', () => {
  const { region } = mailboxRegion(3, 4096);
  const mailbox = new Mailbox(region);
  for (let lane = 0; lane < 3; lane++) {
    const outbox = new Outbox(region, lane);
    for (let i = 0; i < (lane === 0 ? 50 : 2); i++) outbox.claim(i, 0);
    outbox.send();
  }
  const recorder = new Recorder();
  mailbox.drain(recorder, 2);
  mailbox.drain(recorder, 2);
  expect(recorder.lanes).toEqual([0, 0, 1, 1, 2, 2, 0, 0]);
});

test('a mark is passed when everything published before it has been handed over, whatever came since or is still unpublished', () => {
  const { region } = mailboxRegion(2, 256);
  const mailbox = new Mailbox(region);
  const outboxes = [new Outbox(region, 0), new Outbox(region, 1)];
  const recorder = new Recorder();
  // Often enough for the lanes to wrap, and for a sender that died between claiming and publishing.
  for (let round = 0; round < 50; round++) {
    const published = mailbox.mark();
    expect(mailbox.passed(published)).toBe(true);
    for (let i = 0; i < 3; i++) outboxes[0]!.claim(round, 20);
    outboxes[0]!.post();
    outboxes[1]!.claim(round, 12);
    const mark = mailbox.mark();
    mailbox.drain(recorder, 2);
    expect(mailbox.passed(mark)).toBe(false);
    outboxes[0]!.claim(round, 8);
    outboxes[0]!.post();
    mailbox.drain(recorder, 1);
    expect(mailbox.passed(mark)).toBe(true);
    outboxes[1] = new Outbox(region, 1);
    while (mailbox.drain(recorder, 8) > 0);
    expect(mailbox.passed(mailbox.mark())).toBe(true);
  }
});

test('a message whose handler throws is consumed, and the next is delivered', () => {
  const { region } = mailboxRegion(1, 1024);
  const mailbox = new Mailbox(region);
  const outbox = new Outbox(region, 0);
  outbox.claim(1, 0);
  outbox.claim(2, 0);
  outbox.send();
  const poisoned: MessageHandler = {
    onMessage() {
      throw new Error('poison');
    },
  };
  expect(() => mailbox.drain(poisoned, 10)).toThrow('poison');
  const recorder = new Recorder();
  mailbox.drain(recorder, 10);
  expect(recorder.kinds).toEqual([2]);
});

test('a new owner and a new sender go on where the old ones stopped', () => {
  const { region } = mailboxRegion(1, 256);
  for (let i = 0; i < 1000; i++) {
    const outbox = new Outbox(region, 0);
    outbox.claim(i, i % 100);
    outbox.send();
    const recorder = new Recorder();
    new Mailbox(region).drain(recorder, 10);
    expect(recorder.kinds).toEqual([i]);
  }
});

test('peeking shows counts, depth and how long a message may have waited', () => {
  const { region } = mailboxRegion(2, 1024);
  const mailbox = new Mailbox(region);
  const outbox = new Outbox(region, 1);
  for (let i = 0; i < 3; i++) outbox.claim(i, 8);
  outbox.send();
  mailbox.drain(new Recorder(), 1);
  const [idle, busy] = peekMailbox(region);
  expect(idle).toEqual({ sent: 0, received: 0, depth: 0, waitedAtMost: 0, usedBytes: 0, capacity: 1024 });
  expect(busy).toMatchObject({ sent: 3, received: 1, depth: 2, usedBytes: 32 });
  expect(busy!.waitedAtMost).toBeLessThan(60_000);
});

test('two threads, messages of random length: all arrive, in order, whole', async () => {
  const count = 150_000;
  const lanes = 2;
  const { arena, region } = mailboxRegion(lanes, 4096);
  const seed = testSeed('lanes of a mailbox');
  const mailbox = new Mailbox(region);
  const senders = Array.from({ length: lanes }, (_, lane) =>
    startWorker({ role: 'send', buffer: arena.buffer, seed: seed + lane, count, lane }),
  );
  const next = new Array<number>(lanes).fill(0);
  const randoms = next.map((_, lane) => randomFrom(seed + lane));
  let received = 0;
  const handler: MessageHandler = {
    onMessage(kind, u8, u32, _, offset, length, lane) {
      const random = randoms[lane]!;
      if (kind !== next[lane]! || length !== 8 + Math.floor(random() * 400))
        throw new Error(`lane ${lane} is out of order`);
      random();
      expectMessage(u8, u32, offset, length, kind);
      next[lane]!++;
      received++;
    },
  };
  while (received < lanes * count) {
    const seen = mailbox.doorbell.seen();
    if (mailbox.drain(handler, 32) === 0) await mailbox.doorbell.waitAsync(seen, 100);
  }
  await Promise.all(senders);
  expect(next).toEqual([count, count]);
}, 60_000);
