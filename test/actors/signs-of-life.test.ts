/** A thread that waits or is in a system call does not hang, and says so. */
import { afterEach, expect, test } from 'vitest';
import { PatientDisk } from '../../actors/patient-disk.ts';
import { ACTOR_STATES } from '../../actors/regions.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { Mailbox, Outbox, planMailbox } from '../../runtime/messaging/mailbox.ts';
import { ActorState, actorStateBytes } from '../../runtime/scheduling/actor-state.ts';
import { formatJournal, JournalWriter, journalRegionBytes } from '../../runtime/storage/journal-ring.ts';
import { recordBytes } from '../../runtime/storage/record-header.ts';
import { Mutex } from '../../runtime/sync/mutex.ts';
import { whileWaiting } from '../../runtime/sync/waiting.ts';
import { FaultyDisk } from '../storage/faulty-disk.ts';

class Enough extends Error {}

/** Lets the waiting thread wait for `slices`, then ends the wait by throwing. */
function afterSlices(slices: number): void {
  let waited = 0;
  whileWaiting(() => {
    if (++waited === slices) throw new Enough();
  });
}
afterEach(() => whileWaiting(() => {}));

test('a call into the disk asks for patience, and the sign of life comes before the patience is over', () => {
  const arena = Arena.create([{ name: ACTOR_STATES, bytes: actorStateBytes(1) }]);
  const state = new ActorState(arena.region(ACTOR_STATES), 0);
  const disk = new FaultyDisk();
  const patience: number[] = [];
  disk.failing = () => {
    patience.push(state.patience);
    return 0;
  };
  const patient = new PatientDisk(disk, state);
  const descriptor = patient.open('file', 'create');
  expect(patient.pwrite(descriptor, Buffer.from('bytes'), 0, 5, 0)).toBe(5);
  expect(patient.truncate(descriptor, 3)).toBe(0);
  expect(patience.every((ms) => ms >= 60_000)).toBe(true);
  expect(patience.length).toBeGreaterThanOrEqual(3);
  expect([state.patience, state.heartbeat]).toEqual([0, 3]);
});

test('a thread that waits for a lock says so', () => {
  const words = new Int32Array(new SharedArrayBuffer(64));
  const mutex = new Mutex(words, 0, 0);
  // As another thread would hold it.
  words[0] = 77;
  afterSlices(1);
  expect(() => mutex.lock()).toThrow(Enough);
});

test('a thread that waits for room in a lane says so', () => {
  const arena = Arena.create([{ name: 'mailbox', bytes: planMailbox(1, 256) }]);
  Mailbox.format(arena.region('mailbox'), 1, 256);
  const outbox = new Outbox(arena.region('mailbox'), 0);
  afterSlices(1);
  expect(() => {
    for (;;) outbox.claimOrWait(1, 64);
  }).toThrow(Enough);
});

test('a thread that waits for room in the journal says so', () => {
  const arena = Arena.create([{ name: 'journal', bytes: journalRegionBytes(4096) }]);
  formatJournal(arena.region('journal'), 1);
  const journal = new JournalWriter(arena.region('journal'));
  while (journal.hasRoom(recordBytes(500))) {
    journal.append(1, 500);
    journal.commit();
  }
  afterSlices(2);
  expect(() => journal.waitForRoom(recordBytes(500))).toThrow(Enough);
});
