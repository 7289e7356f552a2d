import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeartbeatWatch, type WatchedRow } from '../../runtime/supervision/heartbeat-watch.ts';

const HANG = 1000;
const PERIOD = 100;

const row = (changes: Partial<WatchedRow> = {}): WatchedRow => ({
  name: 'a',
  incarnation: 1,
  heartbeat: 7,
  patience: 0,
  mustBeat: true,
  ...changes,
});

/** The look, counted from 0, at which the watch first names `a`; undefined if it never does. */
function namedAt(
  looks: number,
  rowAt: (look: number) => WatchedRow,
  nowAt = (look: number) => look * PERIOD,
) {
  const watch = new HeartbeatWatch(HANG, PERIOD);
  for (let look = 0; look < looks; look++) if (watch.look([rowAt(look)], nowAt(look)).length > 0) return look;
  return undefined;
}

test('an actor hangs when its heartbeat stood still for longer than allowed, and not a look before', () => {
  expect(namedAt(100, () => row())).toBe(HANG / PERIOD + 1);
});

test('a beat just in time, again and again, is enough', () => {
  const lazily = (look: number): WatchedRow => row({ heartbeat: Math.floor(look / (HANG / PERIOD)) });
  expect(namedAt(1000, lazily)).toBeUndefined();
});

test('a long step may take the time it asked for, and no longer', () => {
  expect(namedAt(200, () => row({ patience: 5000 }))).toBe(5000 / PERIOD + 1);
});

test('the end of a long step is a sign of life, though the next beat is still to come', () => {
  expect(namedAt(500, (look) => row({ patience: look < 40 ? 60_000 : 0 }))).toBe(40 + HANG / PERIOD + 1);
});

test('an actor that need not beat does not hang, and has its full time once it must again', () => {
  expect(namedAt(500, () => row({ mustBeat: false }))).toBeUndefined();
  expect(namedAt(500, (look) => row({ mustBeat: look >= 50 }))).toBe(50 + HANG / PERIOD);
});

test('a new thread has its full time, though its heartbeat goes on where the last one left it', () => {
  expect(namedAt(500, (look) => row({ incarnation: look < 9 ? 1 : 2 }))).toBe(9 + HANG / PERIOD + 1);
});

test('a watcher that was stopped itself blames nobody', () => {
  const stopped = (look: number): number => look * PERIOD + (look >= 5 ? 3_600_000 : 0);
  const beats = (look: number): WatchedRow => row({ heartbeat: look < 6 ? 1 : look });
  expect(namedAt(100, beats, stopped)).toBeUndefined();
});

test('of several, exactly those are named whose heart stands still, whatever the others do', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }), (alive) => {
      const watch = new HeartbeatWatch(HANG, PERIOD);
      const named = new Set<string>();
      for (let look = 0; look <= HANG / PERIOD + 1; look++) {
        const rows = alive.map((beats, i) => row({ name: String(i), heartbeat: beats ? look : 3 }));
        for (const name of watch.look(rows, look * PERIOD)) named.add(name);
      }
      expect([...named].sort()).toEqual(alive.flatMap((beats, i) => (beats ? [] : [String(i)])).sort());
    }),
  );
});
