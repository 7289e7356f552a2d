import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { replayLog } from '../../actors/io/log-recovery.ts';
import { SYNC, writeSync } from '../../actors/messages.ts';
import { Pending, planPending } from '../../actors/pending.ts';
import { FUSE_FSYNC } from '../../fuse/protocol/abi.ts';
import { systemClock } from '../../runtime/clock.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { Mailbox, Outbox, planMailbox } from '../../runtime/messaging/mailbox.ts';
import { actorStateBytes } from '../../runtime/scheduling/actor-state.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { formatJournal, JournalWriter, journalRegionBytes } from '../../runtime/storage/journal-ring.ts';
import { recordBytes } from '../../runtime/storage/record-header.ts';
import { STORE_STATUS_BYTES } from '../../runtime/storage/store-status.ts';
import { seeded, testSeed } from '../seed.ts';

const SYNCS = 1200;
const DEATHS = 12;
const IN_FLIGHT = 32;

test('io-0 is ended under load, again and again: every fsync is answered, none early, and the log has every record once', async () => {
  const seed = testSeed('an io actor that is ended');
  const random = seeded(seed);
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'vexfs-io-'));
  fs.mkdirSync(join(directory, 'log'));
  const arena = Arena.create([
    { name: 'journal', bytes: journalRegionBytes(64 * 1024) },
    { name: 'store-status', bytes: STORE_STATUS_BYTES },
    { name: 'mailbox', bytes: planMailbox(1, 4096) },
    { name: 'state', bytes: actorStateBytes(1) },
    { name: 'answers', bytes: (SYNCS + 1) * 4 },
    planPending(),
  ]);
  formatJournal(arena.region('journal'), 1);
  Mailbox.format(arena.region('mailbox'), 1, 4096);
  let failure: Error | undefined;
  const turn = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    if (failure) throw failure;
  };
  const start = (isSuccessor: boolean): Worker => {
    const workerData = { buffer: arena.buffer, directory, isSuccessor };
    const worker = new Worker(new URL('./io-succession-thread.js', import.meta.url), { workerData });
    worker.on('error', (error) => {
      failure = error;
    });
    return worker;
  };
  let thread = start(false);
  const answers = arena.region('answers').u32.subarray(0, SYNCS + 1);
  const pending = new Pending(arena.region('pending'), 1, systemClock.monotonic);
  const io = new Outbox(arena.region('mailbox'), 0);
  const journal = new JournalWriter(arena.region('journal'), { ring: () => io.send() });
  const unanswered = (): number => answers.subarray(1).filter((count) => count === 0).length;
  let written = 0;
  let deaths = 0;
  for (let sync = 1; sync <= SYNCS; sync++) {
    for (let transaction = random(4); transaction >= 0; transaction--) {
      const size = random(2000);
      while (!journal.hasRoom(recordBytes(size))) await turn();
      journal.append(1, size);
      journal.commit();
      written++;
    }
    const slot = pending.enter(SYNC, sync, journal.lastLsn, FUSE_FSYNC);
    writeSync(io, sync, journal.lastLsn, slot);
    if (sync % (SYNCS / DEATHS) === SYNCS / DEATHS / 2) {
      // At some moment of what it is at, and the other side goes on while nobody is there.
      for (let ms = random(8); ms > 0; ms--) await new Promise((resolve) => setTimeout(resolve, 1));
      await thread.terminate();
      deaths++;
      thread = start(true);
    }
    while (sync - (SYNCS - unanswered()) > random(IN_FLIGHT)) await turn();
  }
  while (unanswered() > 0) await turn();
  await thread.terminate();
  expect(answers[0]).toBe(0);
  // Who ends between the reply and the note of it leaves a successor to reply again, which the kernel refuses.
  expect(answers.subarray(1).filter((count) => count > 1).length).toBeLessThanOrEqual(deaths);
  expect(pending.waiting).toBe(0);
  let lsn = 0;
  const outcome = replayLog(new HostDisk(directory), new Uint8Array(16), 0, () => lsn++);
  expect(outcome).toMatchObject({ lastLsn: written, records: written, damage: undefined });
  expect(lsn).toBe(written);
  fs.rmSync(directory, { recursive: true });
}, 120_000);
