import { expect, test } from 'vitest';
import { Doorbell } from '../../runtime/messaging/doorbell.ts';
import { Mutex } from '../../runtime/sync/mutex.ts';
import { Once } from '../../runtime/sync/once.ts';
import { Semaphore } from '../../runtime/sync/semaphore.ts';
import { SequenceLock } from '../../runtime/sync/sequence-lock.ts';
import { SpinLock } from '../../runtime/sync/spin-lock.ts';
import { startWorker } from './stress.ts';

const newWords = () => new Int32Array(new SharedArrayBuffer(256));

test('a mutex keeps three threads’ increments of a plain counter', async () => {
  const words = newWords();
  const count = 100_000;
  await Promise.all([0, 1, 2].map(() => startWorker({ role: 'lock', words, count })));
  expect(words[32]).toBe(3 * count);
  expect(new Mutex(words, 0).holder).toBe(-1);
});

test('a held mutex refuses tryLock, knows its holder, and is neither locked twice nor unlocked by a stranger', () => {
  const words = newWords();
  const mutex = new Mutex(words, 0);
  expect(() => mutex.unlock()).toThrow('by its owner');
  mutex.lock();
  expect(mutex.heldHere).toBe(true);
  expect(mutex.tryLock()).toBe(false);
  expect(() => mutex.lock()).toThrow('not recursive');
  mutex.unlock();
  expect(mutex.heldHere).toBe(false);
  expect(mutex.tryLock()).toBe(true);
});

test('a spin lock is neither locked twice nor unlocked when free', () => {
  const lock = new SpinLock(newWords(), 0);
  expect(() => lock.unlock()).toThrow('by its owner');
  lock.lock();
  expect(() => lock.lock()).toThrow('not recursive');
  lock.unlock();
  expect(lock.tryLock()).toBe(true);
});

test('a sequence lock has one writer at a time, and a reader sees that one was there', () => {
  const lock = new SequenceLock(newWords(), 0);
  const seen = lock.readBegin();
  expect(lock.readRetry(seen)).toBe(false);
  lock.writeBegin();
  expect(() => lock.writeBegin()).toThrow('one writer');
  expect(lock.readRetry(seen)).toBe(true);
});

test('a semaphore gives out what it has and no more', () => {
  const words = newWords();
  words[0] = 2;
  const semaphore = new Semaphore(words, 0);
  expect([semaphore.tryAcquire(), semaphore.tryAcquire(), semaphore.tryAcquire()]).toEqual([
    true,
    true,
    false,
  ]);
  semaphore.release();
  semaphore.acquire();
  expect(semaphore.permits).toBe(0);
});

test('an action that throws is not done: the next caller does it', () => {
  const once = new Once(newWords(), 0);
  const fail = () => {
    throw new Error('not yet');
  };
  expect(() => once.run(fail)).toThrow('not yet');
  expect(once.run(() => {})).toBe(true);
  expect(once.run(fail)).toBe(false);
});

test('a wait ends by its timeout, on a thread and on an event loop, and at once when something rang since', async () => {
  const doorbell = new Doorbell(newWords(), 0);
  const seen = doorbell.seen();
  const started = performance.now();
  doorbell.wait(seen, 20);
  await doorbell.waitAsync(seen, 20);
  await doorbell.waitAsync(seen, 20);
  expect(performance.now() - started).toBeGreaterThan(55);
  doorbell.ring();
  const rung = performance.now();
  doorbell.wait(seen, 1000);
  await doorbell.waitAsync(seen, 1000);
  expect(doorbell.park(seen)).toBe(false);
  // Two slices of a second each, had it waited.
  expect(performance.now() - rung).toBeLessThan(1000);
});

test('a ring wakes an event loop whose earlier wait timed out', async () => {
  const words = newWords();
  const doorbell = new Doorbell(words, 0);
  await doorbell.waitAsync(doorbell.seen(), 10);
  const waiting = doorbell.waitAsync(doorbell.seen(), 1000);
  const started = performance.now();
  new Doorbell(words, 0).ring();
  await waiting;
  expect(performance.now() - started).toBeLessThan(500);
});

test('waits that time out leave one waiter with the engine, not one each', async () => {
  const words = newWords();
  const doorbell = new Doorbell(words, 0);
  for (let i = 0; i < 20; i++) await doorbell.waitAsync(doorbell.seen(), 1);
  expect([0, 1, 2].map((word) => Atomics.notify(words, word))).toEqual([0, 1, 0]);
});

test('a thread whose wait has timed out can end', async () => {
  const started = performance.now();
  await startWorker({ role: 'idle', words: newWords() });
  expect(performance.now() - started).toBeLessThan(30_000);
});
