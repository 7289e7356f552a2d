import { closeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Watch } from '../../fuse/session/watch.ts';
import { eventfd, PollSet } from '../../runtime/system/libc.ts';

const STANDING_BY = 1;

let words: Int32Array;
let tokens: number;
beforeEach(() => {
  words = new Int32Array(new SharedArrayBuffer(Watch.WORDS * 4));
  tokens = eventfd(true);
  Watch.format(words, 0, tokens);
});
afterEach(() => closeSync(tokens));

function waitingTokens(): number {
  const pollSet = new PollSet(tokens);
  return pollSet.wait(0);
}

describe('a thread that died', () => {
  it('while it watched: its successor, or whoever finds it dead, lets another one watch', () => {
    const dead = new Watch(words, 0, 1);
    const other = new Watch(words, 0, 2);
    expect([dead.enter(), other.enter()]).toEqual([true, false]);
    new Watch(words, 0, 1).vacate();
    expect(other.enter()).toBe(true);
    new Watch(words, 0, 1).vacate();
    expect(words[0]).toBe(2);
  });

  it('while it watched: one that stands by is called', () => {
    new Watch(words, 0, 1).enter();
    words[STANDING_BY] = 1 << 1;
    new Watch(words, 0, 1).vacate();
    expect(waitingTokens()).toBe(1);
  });

  it('while it stood by, whatever its id: its successor takes its bit back, and nobody is called for it', () => {
    for (const id of [1, 32, 33, Watch.THREADS]) {
      const word = STANDING_BY + ((id - 1) >> 5);
      words[word] = 1 << ((id - 1) & 31);
      const other = new Watch(words, 0, id === 1 ? 2 : 1);
      other.call();
      expect(waitingTokens()).toBe(1);
      other.standBy(new PollSet(tokens), 0, 0);
      words[0] = 99;
      other.standBy(new PollSet(tokens), 0, 0);
      words[0] = 0;
      new Watch(words, 0, id);
      expect(words[word]).toBe(0);
      other.call();
      expect(waitingTokens()).toBe(0);
    }
  });
});

it('a token that is left over wakes one thread for nothing, once', () => {
  const watch = new Watch(words, 0, 1);
  words[0] = 2;
  words[STANDING_BY] = 1 << 2;
  watch.call();
  const pollSet = new PollSet(tokens);
  watch.standBy(pollSet, 0, 0);
  expect(pollSet.events(0)).not.toBe(0);
  watch.standBy(pollSet, 0, 0);
  expect(pollSet.events(0)).toBe(0);
});
