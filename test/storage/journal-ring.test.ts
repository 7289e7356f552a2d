import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import {
  continueJournal,
  formatJournal,
  JournalReader,
  JournalWriter,
  journalRegionBytes,
} from '../../runtime/storage/journal-ring.ts';
import {
  COMMIT,
  LENGTH_AT,
  LSN_AT,
  RECORD_HEADER,
  recordBytes,
  TYPE_AT,
} from '../../runtime/storage/record-header.ts';
import { testSeed } from '../seed.ts';
import { sharedRegion } from './views.ts';

function journal(bytes: number) {
  const region = sharedRegion(journalRegionBytes(bytes));
  formatJournal(region, 1);
  return { region, writer: new JournalWriter(region), reader: new JournalReader(region) };
}

test('a transaction is invisible until it is committed, and aborted records leave no trace', () => {
  const { writer, reader } = journal(4096);
  writer.append(7, 5);
  expect(reader.published()).toBe(0);
  writer.abort();
  const at = writer.append(8, 5);
  writer.u8.fill(0xaa, at, at + 5);
  expect(writer.append(9, 0)).toBe(at + 8 + RECORD_HEADER);
  writer.commit();
  const limit = reader.published();
  expect(limit).toBe(recordBytes(5) + recordBytes(0));
  const seen: number[][] = [];
  while (reader.next(limit)) {
    const word = reader.u32[(reader.offset + TYPE_AT) >> 2]!;
    seen.push([reader.f64[(reader.offset + LSN_AT) >> 3]!, word & 0xffff, word >>> 16]);
  }
  expect(seen).toEqual([
    [1, 8, 0],
    [2, 9, COMMIT],
  ]);
  expect([...reader.u8.subarray(at, at + 8)]).toEqual([0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0, 0, 0]);
  expect(writer.lastLsn).toBe(2);
});

test('a full ring has no room until the reader releases', () => {
  const { writer, reader } = journal(4096);
  const bytes = recordBytes(1000);
  let written = 0;
  while (writer.hasRoom(bytes)) {
    writer.append(1, 1000);
    writer.commit();
    written++;
  }
  expect(written).toBe(4);
  while (reader.next(reader.published()));
  expect(writer.hasRoom(bytes)).toBe(false);
  reader.release();
  expect(writer.hasRoom(bytes)).toBe(true);
});

test('a failed journal turns waiting writers away with the first errno', () => {
  const { writer, reader } = journal(4096);
  writer.append(1, 2000);
  writer.commit();
  writer.append(1, 1000);
  writer.commit();
  expect(writer.hasRoom(2000)).toBe(false);
  reader.fail(28);
  reader.fail(5);
  expect(writer.waitForRoom(2000)).toBe(false);
  expect(writer.failure).toBe(28);
});

test('positions wrap at 2^32 without a lost record', () => {
  const { region, writer, reader } = journal(4096);
  const start = 2 ** 32 - 8 * 50;
  region.u32[0] = start;
  region.u32[32] = start;
  reader.position = start;
  for (let lsn = 1; lsn <= 500; lsn++) {
    expect(writer.hasRoom(recordBytes(lsn % 300))).toBe(true);
    writer.append(1, lsn % 300);
    writer.commit();
    expect(reader.next(reader.published())).toBe(true);
    expect(reader.f64[(reader.offset + LSN_AT) >> 3]).toBe(lsn);
    expect(reader.next(reader.published())).toBe(false);
    reader.release();
  }
});

test('two threads: every record arrives once, in order, whole, over many wraps', async () => {
  const records = 200_000;
  const seed = testSeed('records through the journal');
  const { region, reader } = journal(64 * 1024);
  const worker = new Worker(new URL('./journal-writer-thread.js', import.meta.url), {
    workerData: { buffer: region.buffer, records, seed },
  });
  let total = -1;
  worker.on('message', (count: number) => {
    total = count;
  });
  let expected = 1;
  let committed = true;
  while (total === -1 || expected <= total) {
    const limit = reader.published();
    while (reader.next(limit)) {
      const length = reader.u32[(reader.offset + LENGTH_AT) >> 2]!;
      const word = reader.u32[(reader.offset + TYPE_AT) >> 2]!;
      if (reader.f64[(reader.offset + LSN_AT) >> 3] !== expected) throw new Error(`LSN gap at ${expected}`);
      if ((word & 0xffff) !== 1 + (expected % 100)) throw new Error(`type of ${expected}`);
      const from = reader.offset + RECORD_HEADER;
      for (let at = from; at < from + length; at++) {
        if (reader.u8[at] !== (expected & 255)) throw new Error(`byte ${at - from} of record ${expected}`);
      }
      committed = word >>> 16 === COMMIT;
      expected++;
    }
    if (!committed) throw new Error('a published transaction ends with COMMIT');
    reader.release();
    if (reader.used() === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(expected - 1).toBeGreaterThanOrEqual(records);
  await worker.terminate();
});

test('a reader that takes over steps over what the log has, and a gap that a dead writer left is closed', () => {
  const { region, writer, reader } = journal(4096);
  for (let lsn = 1; lsn <= 6; lsn++) {
    writer.append(1, 40);
    writer.append(1, 8);
    writer.commit();
  }
  reader.next(reader.published());
  reader.release();
  const successor = new JournalReader(region);
  expect(successor.nextLsnToRead()).toBe(2);
  expect(successor.skipThrough(4)).toBe(5);
  expect(new JournalReader(region).nextLsnToRead()).toBe(5);
  expect(successor.skipThrough(12)).toBe(0);
  expect(successor.used()).toBe(0);
  // It ended between the two stores of its commit.
  const { published } = writer;
  writer.append(1, 8);
  region.f64[8] = 14;
  expect(new JournalWriter(region).nextLsn).toBe(14);
  continueJournal(region, 13);
  const next = new JournalWriter(region);
  expect(next.published).toBe(published);
  next.append(1, 8);
  next.commit();
  expect(successor.nextLsnToRead()).toBe(13);
});
