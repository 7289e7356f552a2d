import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { replayLog } from '../../actors/io/log-recovery.ts';
import { FLUSH, writeSync, writeWords } from '../../actors/messages.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { Mailbox, Outbox, planMailbox } from '../../runtime/messaging/mailbox.ts';
import { STOP } from '../../runtime/scheduling/actor.ts';
import { actorStateBytes } from '../../runtime/scheduling/actor-state.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { formatJournal, JournalWriter, journalRegionBytes } from '../../runtime/storage/journal-ring.ts';
import { recordBytes } from '../../runtime/storage/record-header.ts';
import { STORE_STATUS_BYTES, StoreStatus } from '../../runtime/storage/store-status.ts';
import { seeded, testSeed } from '../seed.ts';

const SYNCS = 1500;
const IN_FLIGHT = 32;

/** io-0 on a thread, and what a fuse actor has of it. `slowMs`: what each fdatasync takes at least. */
function started(slowMs: number) {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'vexfs-io-'));
  fs.mkdirSync(join(directory, 'log'));
  const arena = Arena.create([
    { name: 'journal', bytes: journalRegionBytes(64 * 1024) },
    { name: 'store-status', bytes: STORE_STATUS_BYTES },
    { name: 'mailbox', bytes: planMailbox(1, 4096) },
    { name: 'state', bytes: actorStateBytes(1) },
    { name: 'answers', bytes: 64 },
  ]);
  formatJournal(arena.region('journal'), 1);
  Mailbox.format(arena.region('mailbox'), 1, 4096);
  const thread = new Worker(new URL('./io-thread.js', import.meta.url), {
    workerData: { buffer: arena.buffer, directory, slowMs },
  });
  const ended = new Promise((resolve) => thread.once('exit', resolve));
  const io = new Outbox(arena.region('mailbox'), 0);
  const journal = new JournalWriter(arena.region('journal'), { ring: () => io.send() });
  const status = new StoreStatus(arena.region('store-status'));
  const answers = arena.region('answers').u32;
  /** Everything is durable, and the thread has ended. */
  const end = async (): Promise<void> => {
    writeWords(io, FLUSH, 1);
    while (Atomics.load(answers, 2) === 0) await new Promise((resolve) => setImmediate(resolve));
    io.claimOrWait(STOP, 0);
    io.send();
    await ended;
  };
  return { directory, io, journal, status, answers, end };
}

test('a disk that is slower than the writers: they wait, and no more than two journals are not durable', async () => {
  const { directory, journal, status, end } = started(20);
  const size = 4000;
  const most = (2 * journal.capacity) / recordBytes(size);
  const records = 20 * Math.floor(journal.capacity / recordBytes(size));
  let waited = 0;
  for (let n = 0; n < records; n++) {
    while (!journal.hasRoom(recordBytes(size))) {
      waited++;
      expect(journal.waitForRoom(recordBytes(size))).toBe(true);
    }
    journal.append(1, size);
    journal.commit();
    expect(journal.lastLsn - status.read().durableLsn).toBeLessThanOrEqual(most);
  }
  await end();
  expect(waited).toBeGreaterThan(5);
  expect(status.read().durableLsn).toBe(records);
  const outcome = replayLog(new HostDisk(directory), new Uint8Array(16), 0, () => {});
  expect(outcome).toMatchObject({ lastLsn: records, tornBytes: 0, damage: undefined });
  fs.rmSync(directory, { recursive: true });
}, 60_000);

test('io-0 on its own thread: no fsync is answered early, all are, they share fdatasyncs, and the log replays', async () => {
  const seed = testSeed('fsyncs of io-0');
  const random = seeded(seed);
  const { directory, io, journal, status: shared, answers, end } = started(0);
  const records = { written: 0 };
  for (let sync = 1; sync <= SYNCS; sync++) {
    for (let transaction = random(4); transaction >= 0; transaction--) {
      const size = random(2000);
      while (!journal.hasRoom(recordBytes(size))) expect(journal.waitForRoom(recordBytes(size))).toBe(true);
      journal.append(1, size);
      journal.commit();
      records.written++;
    }
    writeSync(io, sync, journal.lastLsn, 0);
    while (sync - Atomics.load(answers, 0) > random(IN_FLIGHT))
      await new Promise((resolve) => setImmediate(resolve));
  }
  await end();
  expect([...answers.subarray(0, 3)]).toEqual([SYNCS, 0, 1]);
  const status = shared.read();
  expect(status.durableLsn).toBe(records.written);
  expect(status.syncRequests).toBe(SYNCS);
  expect(status.logSyncs).toBeLessThan(SYNCS);
  console.log(`${SYNCS} fsyncs shared ${status.logSyncs} fdatasyncs`);
  const outcome = replayLog(new HostDisk(directory), new Uint8Array(16), 0, () => {});
  expect(outcome).toMatchObject({ lastLsn: records.written, tornBytes: 0, damage: undefined });
  fs.rmSync(directory, { recursive: true });
}, 60_000);
