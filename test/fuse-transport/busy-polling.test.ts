import { expect, test } from 'vitest';
import { BusyPolling } from '../../fuse/session/busy-polling.ts';
import { CpuLatency } from '../../runtime/system/cpu-latency.ts';
import { PollSet } from '../../runtime/system/libc.ts';

const SOON = 0.05;
/** What a request takes that wakes its server, and whose answer wakes its client. */
const HALTED = 0.6;
const LATE = 5;

test('requests that come while the thread looks keep it looking; none for a while ends it', () => {
  const polling = new BusyPolling(() => 100);
  expect(polling.ms).toBe(0.1);
  for (let i = 0; i < 10; i++) polling.caught();
  expect(polling.ms).toBe(0.1);
  for (let i = 0; i < 5; i++) {
    polling.missed();
    expect(polling.woken(LATE)).toBe(false);
  }
  expect(polling.ms).toBe(0);
  expect(polling.woken(SOON)).toBe(true);
  expect(polling.ms).toBe(0.1);
});

test('requests that keep coming are looked for again, though two halted CPUs make each of them late', () => {
  const polling = new BusyPolling(() => 100);
  while (polling.ms > 0) polling.missed();
  polling.woken(LATE);
  expect(polling.ms).toBe(0);
  expect(polling.woken(HALTED)).toBe(true);
  expect(polling.ms).toBe(0.1);
});

test('a client that gets the CPU only when the thread sleeps is looked for ever less often', () => {
  const polling = new BusyPolling(() => 100);
  let looks = 0;
  for (let request = 0; request < 10_000; request++) {
    if (polling.ms > 0) {
      looks++;
      polling.missed();
    }
    expect(polling.woken(SOON)).toBe(true);
  }
  expect(looks).toBeLessThan(20);
  while (polling.ms === 0) polling.woken(SOON);
  for (let i = 0; i < 20; i++) polling.caught();
  polling.missed();
  polling.woken(SOON);
  polling.woken(SOON);
  expect(polling.ms).toBe(0.1);
});

test('a request that comes a little too late now and then costs one wake-up', () => {
  const polling = new BusyPolling(() => 100);
  let woken = 0;
  for (let request = 0; request < 1000; request++) {
    if (polling.ms === 0 || request % 5 === 0) {
      if (polling.ms > 0) polling.missed();
      polling.woken(SOON);
      woken++;
    } else polling.caught();
  }
  expect(woken).toBeLessThan(500);
});

const awake = CpuLatency.open(2);

test.skipIf(awake === undefined)(
  'CPUs are kept awake until the timer has expired with no hold since the last time',
  () => {
    const timer = new PollSet(awake!.timer);
    const expires = () => {
      expect(timer.wait(10_000)).toBe(1);
      awake!.tick();
    };
    awake!.hold();
    expires();
    expect(awake!.held).toBe(false);
    awake!.hold();
    awake!.hold();
    expires();
    expect(awake!.held).toBe(true);
    expires();
    expect(awake!.held).toBe(false);
    expect(timer.wait(20), 'it does not expire any more').toBe(0);
    awake!.tick();
    expect(awake!.held).toBe(false);
    awake!.close();
  },
);
