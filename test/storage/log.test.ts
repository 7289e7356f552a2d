import { expect, test } from 'vitest';
import { cutLog, endLog, listSegments } from '../../actors/io/log-recovery.ts';
import { makeReserve, RESERVE_FILE, reserveBytes } from '../../actors/log-reserve.ts';
import { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER } from '../../kernels/codec/log-format.ts';
import { EIO, ENOSPC } from '../../runtime/errno.ts';
import { seeded, testSeed } from '../seed.ts';
import { type FaultyDisk, PowerCut } from './faulty-disk.ts';
import { replayed, SampleLog, uuid } from './sample-log.ts';

const FIRST = 'log/00000001.log';

/** Three transactions (2, 1 and 3 records), each synced by itself. */
function threeCommits(): { disk: FaultyDisk; ends: number[] } {
  const sample = new SampleLog();
  const ends = [SEGMENT_HEADER];
  for (const records of [2, 1, 3]) {
    sample.transaction(records);
    expect(sample.commit()).toBe(0);
    ends.push(sample.log.segmentBytes);
  }
  return { disk: sample.disk, ends };
}

/** LSN of the last record of the transactions that end at or before `bytes`. */
function lastLsnAt(bytes: number, ends: number[]): number {
  return [0, 2, 3, 6][ends.findLastIndex((end) => end <= bytes)]!;
}

test('what was written comes back in order, and the log has no torn bytes', () => {
  const { disk } = threeCommits();
  expect(replayed(disk)).toMatchObject({
    lastLsn: 6,
    transactions: 3,
    records: 6,
    tornBytes: 0,
    damage: undefined,
  });
  expect(replayed(disk, 2)).toMatchObject({ lastLsn: 6, transactions: 2, records: 4 });
  expect(replayed(disk, 6)).toMatchObject({ lastLsn: 6, transactions: 0, records: 0 });
});

test('a log cut at any byte gives its whole transactions and a silent end', () => {
  const { disk, ends } = threeCommits();
  const whole = disk.read(FIRST);
  for (let bytes = SEGMENT_HEADER; bytes < whole.length; bytes++) {
    disk.rot(FIRST, whole.subarray(0, bytes));
    const outcome = replayed(disk);
    expect(outcome.damage).toBeUndefined();
    expect(outcome.lastLsn).toBe(lastLsnAt(bytes, ends));
    const torn = whole.subarray(ends.findLast((end) => end <= bytes)!, bytes);
    const data = torn.findLastIndex((byte) => byte !== 0) + 1;
    expect(outcome.tornBytes).toBe(Math.min(Math.ceil(data / 8) * 8, torn.length));
    expect(endLog(disk, outcome)).toBe(0);
    expect(replayed(disk)).toMatchObject({ lastLsn: outcome.lastLsn, tornBytes: 0 });
  }
  for (let bytes = 0; bytes < SEGMENT_HEADER; bytes++) {
    disk.rot(FIRST, whole.subarray(0, bytes));
    expect(replayed(disk)).toMatchObject({ lastLsn: 0, damage: { file: FIRST, offset: 0 } });
  }
});

test('one flipped bit anywhere: no wrong record, and damage to what was durable is named', () => {
  const { disk, ends } = threeCommits();
  const whole = disk.read(FIRST).slice();
  for (let at = 0; at < whole.length; at++) {
    const bit = at % 8;
    const rotten = whole.slice();
    rotten[at]! ^= 1 << bit;
    disk.rot(FIRST, rotten);
    const outcome = replayed(disk);
    if (at < SEGMENT_HEADER) {
      expect(outcome).toMatchObject({ lastLsn: 0, damage: { file: FIRST, offset: 0 } });
    } else {
      expect(outcome.lastLsn).toBe(lastLsnAt(at, ends));
      // Only a later commit can testify that a record had been durable: the last one has no witness.
      if (at < ends[2]!) {
        expect(outcome.damage?.file).toBe(FIRST);
        expect(outcome.damage!.offset).toBeLessThanOrEqual(at);
        expect(outcome.damage!.offset).toBeGreaterThan(at - 100);
      } else expect(outcome.tornBytes).toBe(whole.length - ends[2]!);
    }
  }
});

test('sectors of an unsynced tail that reached the disk out of order are torn, not corrupt', () => {
  const sample = new SampleLog();
  sample.transaction(3);
  sample.commit();
  const durable = sample.log.segmentBytes;
  for (let i = 0; i < 40; i++) sample.transaction(2);
  sample.log.append(sample.reader, sample.reader.published());
  const whole = sample.disk.read(FIRST).slice();
  for (let hole = durable; hole + 512 < whole.length; hole += 97) {
    const torn = whole.slice().fill(0, hole, hole + 256);
    sample.disk.rot(FIRST, torn);
    const outcome = replayed(sample.disk);
    expect(outcome.damage).toBeUndefined();
    expect(outcome.lastLsn).toBeGreaterThanOrEqual(3);
    expect(outcome.tornBytes).toBeGreaterThan(0);
  }
});

test('a transaction without its commit mark is not replayed', () => {
  const sample = new SampleLog();
  sample.transaction(1);
  sample.transaction(5);
  sample.commit();
  const whole = sample.disk.read(FIRST);
  sample.disk.rot(FIRST, whole.subarray(0, whole.length - 8));
  expect(replayed(sample.disk)).toMatchObject({ lastLsn: 1, transactions: 1, damage: undefined });
});

test('segments follow one another; a missing, shortened or foreign one is named', () => {
  const build = () => {
    const sample = new SampleLog({ segmentBytes: 400 });
    for (let i = 0; i < 30; i++) {
      sample.transaction(1 + (i % 3));
      sample.commit();
    }
    return sample.disk;
  };
  const disk = build();
  const names = listSegments(disk) as number[];
  expect(names.length).toBeGreaterThan(4);
  expect(replayed(disk)).toMatchObject({ lastLsn: 60, transactions: 30, nextSequence: names.length + 1 });

  disk.unlink('log/00000003.log');
  expect(replayed(disk).damage).toMatchObject({ file: 'log/00000004.log', offset: 24 });

  const shortened = build();
  shortened.rot('log/00000002.log', shortened.read('log/00000002.log').slice(0, -8));
  expect(replayed(shortened).damage).toMatchObject({ file: 'log/00000002.log' });

  const foreign = build();
  const header = encodeSegmentHeader({ sequence: 2, firstLsn: 9, uuid: new Uint8Array(16) });
  foreign.rot('log/00000002.log', header);
  expect(replayed(foreign).damage).toMatchObject({
    file: 'log/00000002.log',
    reason: 'belongs to another store',
  });
});

test('the log is cut only where every record is covered', () => {
  const sample = new SampleLog({ segmentBytes: 300 });
  for (let i = 0; i < 20; i++) {
    sample.transaction(1);
    sample.commit();
  }
  for (let lsn = 0; lsn <= 20; lsn++) {
    expect(cutLog(sample.disk, uuid, lsn)).toBe(0);
    expect(replayed(sample.disk, lsn)).toMatchObject({ lastLsn: 20, records: 20 - lsn, damage: undefined });
  }
  expect(listSegments(sample.disk)).toHaveLength(1);
});

test.each([0, 2048])(
  'power cut before any disk call, %i zeros ahead: every acknowledged record is there, and writing goes on after recovery',
  (aheadBytes) => {
    const run = (sample: SampleLog): number => {
      let acknowledged = sample.log.durableLsn;
      for (let i = 0; i < 12; i++) {
        sample.transaction(1 + (i % 4));
        if (sample.commit() === 0) acknowledged = sample.writer.lastLsn;
      }
      return acknowledged;
    };
    const undisturbed = new SampleLog({ segmentBytes: 1000, aheadBytes });
    run(undisturbed);
    for (let cutAt = 3; cutAt <= undisturbed.disk.calls; cutAt++) {
      for (let seed = 0; seed < 8; seed++) {
        const sample = new SampleLog({ segmentBytes: 1000, aheadBytes });
        sample.disk.cutAt = cutAt;
        expect(() => run(sample)).toThrow(PowerCut);
        const after = sample.disk.crash(seed * 1000 + cutAt);
        const outcome = replayed(after);
        expect(outcome.damage).toBeUndefined();
        expect(outcome.lastLsn).toBeGreaterThanOrEqual(sample.log.durableLsn);
        expect(endLog(after, outcome)).toBe(0);
        const { lastLsn, nextSequence } = outcome;
        for (const name of after.list('log') as string[])
          if (name.endsWith('.tmp')) after.unlink(`log/${name}`);
        const resumed = new SampleLog({ disk: after, segmentBytes: 1000, aheadBytes, lastLsn, nextSequence });
        const acknowledged = run(resumed);
        expect(replayed(resumed.disk.crash(seed))).toMatchObject({
          lastLsn: acknowledged,
          damage: undefined,
          tornBytes: 0,
        });
      }
    }
  },
);

test('a failing disk call is reported, and nothing durable is harmed; after want of space all is written', () => {
  const calls = (() => {
    const sample = new SampleLog({ segmentBytes: 300 });
    for (let i = 0; i < 8; i++) {
      sample.transaction(2);
      sample.commit();
    }
    return sample.disk.calls;
  })();
  let retried = 0;
  for (let call = 3; call <= calls; call++) {
    for (const errno of [EIO, ENOSPC]) {
      const sample = new SampleLog({ segmentBytes: 300 });
      sample.disk.failures.set(call, errno);
      let failed = 0;
      for (let i = 0; i < 8 && failed === 0; i++) {
        sample.transaction(2);
        failed = sample.commit();
      }
      expect(failed).toBeOneOf([-errno, -EIO]);
      const outcome = replayed(sample.disk.crash(call));
      expect(outcome.damage).toBeUndefined();
      expect(outcome.lastLsn).toBeGreaterThanOrEqual(sample.log.durableLsn);
      if (failed !== -ENOSPC) continue;
      retried++;
      expect(sample.commit()).toBe(0);
      const { lastLsn } = sample.writer;
      expect(replayed(sample.disk.crash(call, 'nothing'))).toMatchObject({ lastLsn, damage: undefined });
    }
  }
  expect(retried).toBeGreaterThan(10);
});

test('no room from any write on: the reserve becomes a segment, and what was torn before is no damage', () => {
  for (let full = 1; full < 8; full++) {
    const sample = new SampleLog({ aheadBytes: 512 });
    expect(makeReserve(sample.disk, 8192)).toBe(0);
    let writes = 0;
    sample.disk.failing = (name, path) => {
      if (!path.startsWith('log/') || (name !== 'create' && name !== 'pwrite') || ++writes < full) return 0;
      sample.disk.capacity = sample.disk.used;
      return reserveBytes(sample.disk) > 0 && path !== RESERVE_FILE ? ENOSPC : 0;
    };
    for (let i = 0; i < 12; i++) {
      sample.transaction(2);
      const failed = sample.commit();
      if (failed === 0) continue;
      expect(failed).toBe(-ENOSPC);
      expect(replayed(sample.disk.crash(full)).damage).toBeUndefined();
      expect(sample.commit()).toBe(0);
    }
    expect(sample.log.hasReserve).toBe(false);
    for (const fate of ['nothing', undefined] as const)
      expect(replayed(sample.disk.crash(full, fate))).toMatchObject({ lastLsn: 24, damage: undefined });
  }
});

test('no room and no reserve: the same records are written when there is room again, and by then all of them', () => {
  const sample = new SampleLog({ aheadBytes: 512 });
  sample.transaction(2);
  expect(sample.commit()).toBe(0);
  sample.disk.capacity = sample.disk.used;
  for (let i = 0; i < 70; i++) sample.transaction(2);
  for (let i = 0; i < 3; i++) expect(sample.commit()).toBe(-ENOSPC);
  expect(sample.log.bytesLeft).toBe(0);
  expect(replayed(sample.disk.crash(1)).damage).toBeUndefined();
  sample.disk.capacity = Number.POSITIVE_INFINITY;
  expect(sample.commit()).toBe(0);
  expect(listSegments(sample.disk)).toEqual([1]);
  expect(replayed(sample.disk.crash(1, 'nothing'))).toMatchObject({ lastLsn: 142, damage: undefined });
});

test('zeros ahead: a small commit finds its place in the file, a large one brings none, and they are no torn bytes', () => {
  const sample = new SampleLog({ aheadBytes: 4096 });
  sample.transaction(1);
  expect(sample.commit()).toBe(0);
  const { length } = sample.disk.read(FIRST);
  expect(length).toBe(8192);
  while (sample.log.segmentBytes + 200 < length) {
    sample.transaction(1);
    expect(sample.commit()).toBe(0);
    expect(sample.disk.read(FIRST)).toHaveLength(length);
    expect(replayed(sample.disk)).toMatchObject({ tornBytes: 0, damage: undefined });
  }
  for (let i = 0; i < 20; i++) sample.transaction(2);
  expect(sample.commit()).toBe(0);
  expect(sample.disk.read(FIRST)).toHaveLength(sample.log.segmentBytes);
  const outcome = replayed(sample.disk);
  expect(outcome).toMatchObject({ lastLsn: sample.writer.lastLsn, tornBytes: 0, damage: undefined });
});

test('no room for zeros: the records are written all the same; a disk that fails is reported', () => {
  for (const [errno, result] of [
    [ENOSPC, 0],
    [EIO, -EIO],
  ] as const) {
    const sample = new SampleLog({ aheadBytes: 4096 });
    sample.transaction(1);
    let writes = 0;
    sample.disk.failing = (name, path) =>
      name === 'pwrite' && path.includes('0001.log') && ++writes > 2 ? errno : 0;
    expect(sample.commit()).toBe(result);
    sample.disk.failing = undefined;
    if (result === 0) {
      sample.transaction(1);
      expect(sample.commit()).toBe(0);
      expect(replayed(sample.disk)).toMatchObject({ lastLsn: 2, tornBytes: 0, damage: undefined });
    }
  }
});

test('a log that ends in zeros is cut before a segment follows', () => {
  const sample = new SampleLog({ aheadBytes: 4096 });
  sample.transaction(2);
  sample.commit();
  const outcome = replayed(sample.disk);
  expect(endLog(sample.disk, outcome)).toBe(0);
  expect(sample.disk.read(FIRST)).toHaveLength(sample.log.segmentBytes);
});

test('zeros that a finished segment kept are harmless; zeros in place of its records are named there', () => {
  const sample = new SampleLog({ segmentBytes: 400, aheadBytes: 2048 });
  for (let i = 0; i < 30; i++) {
    sample.transaction(1);
    sample.commit();
  }
  const second = 'log/00000002.log';
  const whole = sample.disk.read(second).slice();
  const longer = new Uint8Array(whole.length + 512);
  longer.set(whole);
  sample.disk.rot(second, longer);
  expect(replayed(sample.disk)).toMatchObject({ lastLsn: 30, damage: undefined });
  sample.disk.rot(second, longer.fill(0, whole.length - 40));
  expect(replayed(sample.disk).damage).toMatchObject({ file: second });
});

test('decoders survive any bytes', () => {
  const seed = testSeed('any bytes as a log');
  const random = seeded(seed);
  const { disk } = threeCommits();
  const whole = disk.read(FIRST).slice();
  for (let round = 0; round < 3000; round++) {
    const bytes = random(3) === 0 ? new Uint8Array(random(300)) : whole.slice(0, 1 + random(whole.length));
    const changes = 1 + random(20);
    const from = random(2) === 0 ? SEGMENT_HEADER : 0;
    for (let i = 0; i < changes && bytes.length > from; i++)
      bytes[from + random(bytes.length - from)] = random(256);
    decodeSegmentHeader(bytes);
    disk.rot(FIRST, bytes);
    expect(replayed(disk).lastLsn).toBeLessThanOrEqual(6);
  }
});
