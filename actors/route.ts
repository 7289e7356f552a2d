/**
 * Which shard has which file: what everybody looks at who writes to a shard or asks one, as it may change while mounted.
 *
 * Roles: main writes; every thread reads, each time it uses it. Region 'route', one word: phase (2 bits), shards before
 * and shards after (8 bits each), moves (13 bits): how many times a move has begun.
 *
 * A move from N to M shards goes SETTLED(N) → COPYING → DROPPING → SETTLED(M):
 * | phase | the holders, who are asked | a change is sent to | what shards do |
 * | --- | --- | --- | --- |
 * | SETTLED | of N | its holder | – |
 * | COPYING | of N | its holder, and its owner of M | the holders send on what another is to hold |
 * | DROPPING | of M | its holder, and its owner of N unless that is to go | they drop what they do not hold |
 *
 * Invariants
 * 1. A holder has everything of its files, in every phase. What another has of a file is no older than what it was sent:
 *    it hears of every change until it has dropped the file.
 * 2. A writer sends, and then looks whether the word is still the one by which it chose; if not, it sends again. Changes
 *    bear being taken twice. So whoever sees a word has in its mailbox whatever was sent by an earlier one only, before
 *    it: the store of the word lies between.
 * 3. A question is answered when all who were asked have answered and the word is still the one by which they were
 *    chosen; else it is put again. Of an answer, that counts which its shard holds.
 * 4. The word changes only when every shard that is there has said (ROUTE_DONE) that it has done what the word asks of it.
 */
import { assert } from '../runtime/assert.ts';
import { WORKERS_MAX } from '../runtime/config/bounds.ts';
import type { Arena } from '../runtime/memory/arena.ts';
import { ROUTE } from './regions.ts';
import { shardOf } from './topology.ts';

export const SETTLED = 0;
export const COPYING = 1;
export const DROPPING = 2;

/** A value that the word never has. */
export const NO_ROUTE = -1;

const COUNT_BITS = 8;
const COUNT_MASK = (1 << COUNT_BITS) - 1;
const FROM_SHIFT = 2;
const TO_SHIFT = FROM_SHIFT + COUNT_BITS;
const MOVE_SHIFT = TO_SHIFT + COUNT_BITS;
const MOVE_MASK = (1 << 13) - 1;

assert(WORKERS_MAX <= COUNT_MASK, 'a number of shards fits its bits');

export class Route {
  readonly #words: Int32Array;

  constructor(arena: Arena) {
    this.#words = arena.region(ROUTE).i32;
  }

  get word(): number {
    return Atomics.load(this.#words, 0);
  }

  /** By main. */
  set word(word: number) {
    Atomics.store(this.#words, 0, word);
  }
}

export function phaseOf(word: number): number {
  return word & 3;
}

export function shardsBefore(word: number): number {
  return (word >>> FROM_SHIFT) & COUNT_MASK;
}

export function shardsAfter(word: number): number {
  return (word >>> TO_SHIFT) & COUNT_MASK;
}

/** Tells one move from another. */
export function moveOf(word: number): number {
  return (word >>> MOVE_SHIFT) & MOVE_MASK;
}

/** How many shards hold everything, by their numbers from 0. */
export function holders(word: number): number {
  return phaseOf(word) === COPYING ? shardsBefore(word) : shardsAfter(word);
}

export function holderOf(word: number, ino: number): number {
  return shardOf(ino, holders(word));
}

/** The other shard that hears of changes of this file; −1 = there is none. */
export function otherOf(word: number, ino: number): number {
  const phase = phaseOf(word);
  if (phase === SETTLED) return -1;
  const other = shardOf(ino, phase === COPYING ? shardsAfter(word) : shardsBefore(word));
  const isThere = phase === COPYING || other < shardsAfter(word);
  return isThere && other !== holderOf(word, ino) ? other : -1;
}

/** Whether the shard takes in what is said of the file: it holds it, or is to. */
export function keeps(word: number, shard: number, ino: number): boolean {
  if (shardOf(ino, shardsAfter(word)) === shard) return true;
  return phaseOf(word) === COPYING && shardOf(ino, shardsBefore(word)) === shard;
}

/** Whether there are files that the shard takes in. */
export function takesPart(word: number, shard: number): boolean {
  return shard < shardsAfter(word) || (phaseOf(word) === COPYING && shard < shardsBefore(word));
}

export function settledRoute(shards: number, move = 0): number {
  return wordOf(SETTLED, shards, shards, move);
}

/** The word after `word` on the way to `shards`; a settled one begins a move. */
export function nextRoute(word: number, shards: number): number {
  const move = moveOf(word);
  const before = shardsBefore(word);
  if (phaseOf(word) === SETTLED) return wordOf(COPYING, before, shards, (move + 1) & MOVE_MASK);
  assert(shards === shardsAfter(word), 'a move is completed before the next one begins');
  return phaseOf(word) === COPYING ? wordOf(DROPPING, before, shards, move) : settledRoute(shards, move);
}

function wordOf(phase: number, before: number, after: number, move: number): number {
  return phase | (before << FROM_SHIFT) | (after << TO_SHIFT) | (move << MOVE_SHIFT);
}
