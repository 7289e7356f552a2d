/** Looking at the messages of a mailbox that others are using. */
import { expect, test } from 'vitest';
import { Arena } from '../../runtime/memory/arena.ts';
import { Mailbox, Outbox, peekMessages, planMailbox } from '../../runtime/messaging/mailbox.ts';
import { testSeed } from '../seed.ts';
import { expectMessage, startWorker } from './stress.ts';

const LANE_BYTES = 4096;

function newMailbox(lanes: number) {
  const arena = Arena.create([{ name: 'mailbox', bytes: planMailbox(lanes, LANE_BYTES) }]);
  const region = arena.region('mailbox');
  Mailbox.format(region, lanes, LANE_BYTES);
  return { arena, region };
}

const NOBODY = { onMessage: () => {} };

test('what waits is shown in order, lane by lane, cut as asked, and stays where it is', () => {
  const { region } = newMailbox(2);
  const mailbox = new Mailbox(region);
  const outboxes = [new Outbox(region, 0), new Outbox(region, 1)];
  for (let i = 0; i < 5; i++) outboxes[0]!.claim(100 + i, 40);
  outboxes[1]!.claim(7, 0);
  // Not sent yet, so not there.
  expect(peekMessages(region, 8, 8)).toEqual([]);
  for (const outbox of outboxes) outbox.send();
  const seen = peekMessages(region, 3, 8);
  expect(seen.map(({ lane, kind, length }) => [lane, kind, length])).toEqual([
    [0, 100, 40],
    [0, 101, 40],
    [0, 102, 40],
    [1, 7, 0],
  ]);
  expect(seen.map(({ bytes }) => bytes.length)).toEqual([8, 8, 8, 0]);
  expect(mailbox.drain(NOBODY, 100)).toBe(6);
  expect(peekMessages(region, 3, 8)).toEqual([]);
});

test('messages before and after the end of a ring are shown, and not what fills it up', () => {
  const { region } = newMailbox(1);
  const mailbox = new Mailbox(region);
  const outbox = new Outbox(region, 0);
  for (let n = 0; n < 500; n++) {
    const bytes = 8 + ((n * 37) % 900);
    outbox.claim(n, bytes);
    outbox.claim(n + 1000, 16);
    outbox.send();
    expect(peekMessages(region, 9, 0).map(({ kind, length }) => [kind, length])).toEqual([
      [n, bytes],
      [n + 1000, 16],
    ]);
    mailbox.drain(NOBODY, 10);
  }
});

test('lengths that cannot be are not followed', () => {
  const { region } = newMailbox(1);
  const outbox = new Outbox(region, 0);
  const first = outbox.claim(1, 16);
  const second = outbox.claim(2, 16);
  outbox.claim(3, 16);
  outbox.send();
  for (const length of [0xffff_ffff, 0x7fff_ffff, LANE_BYTES, 4000]) {
    region.u32[second / 4 - 2] = length;
    expect(peekMessages(region, 9, 64).map(({ kind }) => kind)).toEqual([1]);
  }
  region.u32[first / 4 - 2] = 0xffff_fff8;
  expect(peekMessages(region, 9, 64)).toEqual([]);
});

test('while two threads send and one takes, whatever is shown is a message that was sent, whole', async () => {
  const count = 60_000;
  const { arena, region } = newMailbox(2);
  const seed = testSeed('a ring that is looked into');
  const workers = [
    startWorker({ role: 'drain', buffer: arena.buffer, count: 2 * count }),
    ...[0, 1].map((lane) =>
      startWorker({ role: 'send', buffer: arena.buffer, seed: seed + lane, count, lane }),
    ),
  ];
  let running = true;
  const ended = Promise.all(workers).finally(() => {
    running = false;
  });
  let shown = 0;
  while (running) {
    for (const { kind, length, bytes } of peekMessages(region, 50, 1024)) {
      // Copies are aligned as the ring is, so the canaries are where the sender put them.
      const words = new Uint32Array(bytes.slice(0, bytes.length & ~3).buffer);
      expectMessage(bytes, words, 0, length, kind);
      shown++;
    }
    await new Promise(setImmediate);
  }
  await ended;
  expect(shown).toBeGreaterThan(0);
}, 60_000);
