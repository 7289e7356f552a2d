/** The other threads of the stress tests and the soak: one role per `workerData.role`. */
import { parentPort, workerData } from 'node:worker_threads';
import { Arena } from '../../runtime/memory/arena.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import { Doorbell } from '../../runtime/messaging/doorbell.ts';
import { Mailbox, Outbox } from '../../runtime/messaging/mailbox.ts';
import { RecorderWriter } from '../../runtime/messaging/recorder.ts';
import { Deque, LOST, NOTHING } from '../../runtime/scheduling/deque.ts';
import { Mutex } from '../../runtime/sync/mutex.ts';
import { randomFrom } from '../seed.ts';
import { expectMessage, fillMessage, sleep } from './stress.ts';

const { role, buffer, seed, count, seconds, lane, words } = workerData as {
  role: 'send' | 'soak' | 'own' | 'slab' | 'lock' | 'idle' | 'drain' | 'record' | 'steal';
  buffer: SharedArrayBuffer;
  seed: number;
  count: number;
  seconds: number;
  lane: number;
  words: Int32Array;
};

/** Sends `count` messages of random length as fast as the lane takes them. */
function send(): void {
  const outbox = new Outbox(Arena.attach(buffer).region('mailbox'), lane);
  const random = randomFrom(seed);
  for (let sequence = 0; sequence < count; sequence++) {
    const length = 8 + Math.floor(random() * 400);
    fillMessage(outbox.u8, outbox.u32, outbox.claimOrWait(sequence, length), length, sequence);
    if (random() < 0.2) outbox.send();
  }
  outbox.send();
}

/** Sends to several mailboxes with random pauses, so that owners are met at every point of falling asleep. */
function soak(): void {
  const arena = Arena.attach(buffer);
  const outboxes = arena.names().map((name) => new Outbox(arena.region(name), lane));
  const random = randomFrom(seed);
  const end = performance.now() + seconds * 1000;
  let longestWait = 0;
  let sent = 0;
  for (; performance.now() < end; sent++) {
    const outbox = outboxes[Math.floor(random() * outboxes.length)]!;
    const before = performance.now();
    const at = outbox.claimOrWait(1, 16 + Math.floor(random() * 64));
    longestWait = Math.max(longestWait, performance.now() - before);
    outbox.f64[at / 8] = performance.timeOrigin + performance.now();
    outbox.send();
    const dice = random();
    if (dice < 0.02) sleep(random() * 3);
    else if (dice < 0.9)
      for (let spins = Math.floor(random() ** 4 * 20_000); spins > 0; spins--) Atomics.load(words, 0);
  }
  for (const outbox of outboxes) {
    outbox.claimOrWait(0, 16);
    outbox.send();
  }
  parentPort!.postMessage({ sent, longestWait });
}

/** Owns the mailbox called "thread" until every lane has said goodbye (kind 0). */
function own(): void {
  const mailbox = new Mailbox(Arena.attach(buffer).region('thread'));
  let received = 0;
  let oldest = 0;
  let open = count;
  const handler = {
    onMessage(kind: number, _: Uint8Array, __: Uint32Array, f64: Float64Array, offset: number): void {
      if (kind === 0) open--;
      else {
        received++;
        oldest = Math.max(oldest, performance.timeOrigin + performance.now() - f64[offset / 8]!);
      }
    },
  };
  while (open > 0) {
    const seen = mailbox.doorbell.seen();
    if (mailbox.drain(handler, 8) === 0) mailbox.doorbell.wait(seen, 60_000);
  }
  parentPort!.postMessage({ received, oldest });
}

/** Allocates, writes, passes blocks on through shared slots, checks and frees what others left there. */
function slab(): void {
  const arena = Arena.attach(buffer);
  const allocator = new SlabAllocator(arena.region('slab'));
  const slots = arena.region('slots').u32;
  const random = randomFrom(seed);
  for (let i = 0; i < count; i++) {
    const bytes = Math.ceil(2 ** (3 + random() * 14));
    const handle = allocator.allocate(bytes);
    if (handle !== 0)
      fillMessage(allocator.u8, arena.region('slab').u32, handle * 64, allocator.capacity(handle), handle);
    const found = Atomics.exchange(slots, Math.floor(random() * slots.length), handle);
    if (found === 0) continue;
    expectMessage(allocator.u8, arena.region('slab').u32, found * 64, allocator.capacity(found), found);
    allocator.free(found);
    if (random() < 0.001) allocator.flush();
  }
  allocator.flush();
}

/** Increments a plain counter under a mutex. */
function lock(): void {
  const mutex = new Mutex(words, 0);
  for (let i = 0; i < count; i++) {
    mutex.lock();
    words[32] = words[32]! + 1;
    mutex.unlock();
  }
}

/** Steals from the deque "tasks", and counts in "taken" how often each task was had, until task 0 there says that all are. */
function steal(): void {
  const arena = Arena.attach(buffer);
  const deque = new Deque(arena.region('tasks').u32, 0, count);
  const taken = arena.region('taken').u32;
  while (Atomics.load(taken, 0) === 0) {
    const task = deque.steal();
    if (task !== NOTHING && task !== LOST) Atomics.add(taken, task, 1);
  }
}

/** Waits on its event loop, then has nothing left to do. */
async function idle(): Promise<void> {
  const doorbell = new Doorbell(words, 0);
  await doorbell.waitAsync(doorbell.seen(), 10);
}

/** Owns the mailbox and takes whatever comes, a little at a time, until it has had `count` messages. */
function drain(): void {
  const mailbox = new Mailbox(Arena.attach(buffer).region('mailbox'));
  for (let left = count; left > 0; ) {
    const seen = mailbox.doorbell.seen();
    const taken = mailbox.drain({ onMessage: () => {} }, 3);
    left -= taken;
    if (taken === 0) mailbox.doorbell.wait(seen, 10);
  }
}

/** Writes `count` entries, each of one number many times over. */
function record(): void {
  const writer = new RecorderWriter(Arena.attach(buffer).region('recorder'), {
    byteOffset: 0,
    entries: 64,
    entryBytes: 64,
  });
  for (let n = 0; n < count; n++) {
    const word = writer.begin() >>> 2;
    for (let i = 1; i < 16; i++) writer.u32[word + i] = n;
    writer.end();
  }
}

await { send, soak, own, slab, lock, idle, drain, record, steal }[role]();
