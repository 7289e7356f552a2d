/** No wake-up is lost: an owner in each of the three ways of waiting, senders that meet it at random moments. */
import koffi from 'koffi';
import { expect, test } from 'vitest';
import { WAIT_SLICE_MS } from '../../runtime/config/bounds.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { Mailbox, type MessageHandler, planMailbox } from '../../runtime/messaging/mailbox.ts';
import { testSeed } from '../seed.ts';
import { startWorker } from './stress.ts';

const SECONDS = Number(process.env.VEXFS_SOAK_SECONDS ?? 2);
const LANES = 2;
const LANE_BYTES = 1024;
/** A lost wake-up lasts until the owner looks again by itself. Anything near that is one. */
const LOST_MS = 0.8 * WAIT_SLICE_MS;

const EFD_NONBLOCK = 0o4000;
const POLLIN = 1;

const soakData = (buffer: SharedArrayBuffer, seed: number) => ({
  role: 'soak',
  buffer,
  seed,
  seconds: SECONDS,
  words: new Int32Array(new SharedArrayBuffer(4)),
});

function formatted(names: readonly string[]): Arena {
  const arena = Arena.create(names.map((name) => ({ name, bytes: planMailbox(LANES, LANE_BYTES) })));
  for (const name of names) Mailbox.format(arena.region(name), LANES, LANE_BYTES);
  return arena;
}

/** Counts messages and the longest time one was under way, until every lane has said goodbye. */
class Timekeeper implements MessageHandler {
  received = 0;
  oldest = 0;
  open = LANES;
  onMessage(kind: number, _: Uint8Array, __: Uint32Array, f64: Float64Array, offset: number): void {
    if (kind === 0) this.open--;
    else {
      this.received++;
      this.oldest = Math.max(this.oldest, performance.timeOrigin + performance.now() - f64[offset / 8]!);
    }
  }
}

function startSenders(arena: Arena) {
  const seed = testSeed('messages between threads');
  return Promise.all(
    Array.from({ length: LANES }, (_, lane) => startWorker({ ...soakData(arena.buffer, seed + lane), lane })),
  );
}

test(
  `${SECONDS} s of random traffic to a thread and to an event loop: no wake-up is lost`,
  async () => {
    const arena = formatted(['thread', 'loop']);
    const thread = startWorker({ role: 'own', buffer: arena.buffer, count: LANES });
    const senders = startSenders(arena);
    const mailbox = new Mailbox(arena.region('loop'));
    const keeper = new Timekeeper();
    while (keeper.open > 0) {
      const seen = mailbox.doorbell.seen();
      if (mailbox.drain(keeper, 8) === 0) await mailbox.doorbell.waitAsync(seen, 60_000);
    }
    const reports = await senders;
    const owner = await thread;
    console.log('loop', keeper.received, keeper.oldest, 'thread', owner, 'senders', reports);
    expect(owner.received! + keeper.received).toBe(reports.reduce((sum, { sent }) => sum + sent!, 0));
    expect(
      Math.max(keeper.oldest, owner.oldest!, ...reports.map(({ longestWait }) => longestWait!)),
    ).toBeLessThan(LOST_MS);
  },
  (SECONDS + 60) * 1000,
);

test(
  `${SECONDS} s of random traffic to a thread parked in poll: no wake-up is lost`,
  async () => {
    const libc = koffi.load('libc.so.6');
    const fd = libc.func('int eventfd(unsigned int, int)')(0, EFD_NONBLOCK) as number;
    const poll = libc.func('int poll(void *, unsigned long, int)');
    const arena = formatted(['poll']);
    const mailbox = new Mailbox(arena.region('poll'));
    mailbox.doorbell.armDescriptor(fd);
    const senders = startSenders(arena);
    const keeper = new Timekeeper();
    const pollfd = new Int32Array([fd, POLLIN]);
    let parked = 0;
    while (keeper.open > 0) {
      const seen = mailbox.doorbell.seen();
      if (mailbox.drain(keeper, 8) > 0) continue;
      // The senders' threads need this one's event loop now and then.
      if (++parked % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
      if (!mailbox.doorbell.park(seen)) continue;
      poll(pollfd, 1, WAIT_SLICE_MS);
      mailbox.doorbell.unpark(pollfd[1]! >>> 16 !== 0);
    }
    const reports = await senders;
    console.log('poll', keeper.received, keeper.oldest, 'parked', parked, 'senders', reports);
    expect(keeper.received).toBe(reports.reduce((sum, { sent }) => sum + sent!, 0));
    expect(Math.max(keeper.oldest, ...reports.map(({ longestWait }) => longestWait!))).toBeLessThan(LOST_MS);
  },
  (SECONDS + 60) * 1000,
);
