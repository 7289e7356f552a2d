/** The overwriting ring through which a thread is watched. */
import { expect, test } from 'vitest';
import { Arena } from '../../runtime/memory/arena.ts';
import { RecorderReader, RecorderWriter, recorderBytes } from '../../runtime/messaging/recorder.ts';
import { startWorker } from './stress.ts';

const SHAPE = { byteOffset: 0, entries: 64, entryBytes: 64 };

function newRecorder() {
  const arena = Arena.create([{ name: 'recorder', bytes: recorderBytes(SHAPE.entries, SHAPE.entryBytes) }]);
  const region = arena.region('recorder');
  return { arena, region, writer: new RecorderWriter(region, SHAPE) };
}

function write(writer: RecorderWriter, ...values: number[]): void {
  for (const value of values) {
    writer.u32[(writer.begin() >>> 2) + 1] = value;
    writer.end();
  }
}

function readAll(reader: RecorderReader): number[] {
  const values: number[] = [];
  while (reader.next()) values.push(reader.u32[1]!);
  return values;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

test('a reader gets what is written from now on, or what is still there, in order', () => {
  const { region, writer } = newRecorder();
  expect(readAll(new RecorderReader(region, SHAPE, 'oldest'))).toEqual([]);
  write(writer, 1, 2);
  const now = new RecorderReader(region, SHAPE, 'now');
  const oldest = new RecorderReader(region, SHAPE, 'oldest');
  write(writer, 3);
  expect(readAll(now)).toEqual([3]);
  expect(readAll(oldest)).toEqual([1, 2, 3]);
  expect(readAll(oldest)).toEqual([]);
  expect(oldest.lost).toBe(0);
});

test('a reader that is too slow loses the oldest, and knows how many', () => {
  const { region, writer } = newRecorder();
  const reader = new RecorderReader(region, SHAPE, 'now');
  write(writer, ...range(0, 200));
  expect(readAll(reader)).toEqual(range(136, 200));
  expect(reader.lost).toBe(136);
  const late = new RecorderReader(region, SHAPE, 'oldest');
  expect(readAll(late)).toEqual(range(136, 200));
  expect(late.lost).toBe(0);
});

test('an entry that is being written is not shown, and a new writer goes on after it', () => {
  const { region, writer } = newRecorder();
  write(writer, 1);
  writer.begin();
  const reader = new RecorderReader(region, SHAPE, 'oldest');
  expect(readAll(reader)).toEqual([1]);
  write(new RecorderWriter(region, SHAPE), 2);
  expect(readAll(reader)).toEqual([2]);
});

test('beside a thread that writes as fast as it can, whatever is read is whole, and nothing is counted twice', async () => {
  const { arena, region } = newRecorder();
  const count = 2_000_000;
  const reader = new RecorderReader(region, SHAPE, 'now');
  let running = true;
  const ended = startWorker({ role: 'record', buffer: arena.buffer, count }).finally(() => {
    running = false;
  });
  let read = 0;
  let last = -1;
  const look = (): void => {
    while (reader.next()) {
      const value = reader.u32[1]!;
      for (let i = 2; i < 16; i++) if (reader.u32[i] !== value) throw new Error(`entry ${value} is torn`);
      if (value <= last) throw new Error(`entry ${value} came after ${last}`);
      last = value;
      if (++read % 1000 === 0) return;
    }
  };
  while (running) {
    look();
    await new Promise(setImmediate);
  }
  await ended;
  for (let before = -1; before !== read; ) {
    before = read;
    look();
  }
  expect(last).toBe(count - 1);
  expect(read + reader.lost).toBe(count);
}, 60_000);
