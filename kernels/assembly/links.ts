// Lists of links: choosing, writing, and the lock that a writer of one holds. The contract is in graph.ts.
import { compare, compare4 } from './compare';
import { AWAITED, DELETED, DOOMED, HEADER, NONE, SKIPPED, UNIT } from './layout';
import {
  baseForm,
  candidateForm,
  candidates,
  chosen,
  countOwn,
  indegreeOf,
  isChosen,
  isDot,
  isQuantised,
  isUnit,
  linksMax,
  linksOf,
  lockOf,
  slot,
  stateOf,
  vectorOf,
} from './memory';
import { clear, distanceOfKey, insertKey, keyOf } from './nearest';
import { codeFactor, codeOffset, formOfCode } from './quantise';

/** An odd number and its inverse modulo 2^32: they shuffle the order of nodes at equal distances, and back. */
const SHUFFLE: u32 = 0x9e3779b1;
const UNSHUFFLE: u32 = 0x0e8b2f51;
const AS_IS: u32 = 1;
/** Another order for each base, or all of many identical vectors would choose the same few. */
let salt: u32 = 0;

/**
 * When a list is chosen anew, only a candidate that is clearly nearer to one that was chosen is left out: its squared distance is less
 * than this share of that to the base. Without such a slack a graph gets worse with each deletion (Singh et al., FreshDiskANN, 2021),
 * and nodes far from all others lose what leads to them. The less it is, the fuller lists are, and the more often one is chosen anew.
 */
const SLACK: f32 = 0.9;

/** Attempts at a lock, and after how many to sleep how long (ns): at most about 0.1 s beside a holder that is gone. */
const LOCK_TRIES: i32 = 6400;
const TRIES_A_SLEEP: i32 = 64;
const SLEEP_NS: i64 = 1_000_000;

/** False when whoever holds it does not let go: the caller leaves the list alone. */
export function lock(node: u32): bool {
  const word = lockOf(node);
  for (let tries = 1; tries <= LOCK_TRIES; tries++) {
    const holder = atomic.cmpxchg<u32>(word, 0, slot + 1);
    if (holder === 0) return true;
    if (tries % TRIES_A_SLEEP !== 0) continue;
    const awaited = holder | AWAITED;
    if (atomic.cmpxchg<u32>(word, holder, awaited) === holder) atomic.wait<i32>(word, awaited, SLEEP_NS);
  }
  countOwn(SKIPPED);
  return false;
}

/** Waking goes through a lock that all threads of the process share, so only who is awaited does. */
export function unlock(node: u32): void {
  const word = lockOf(node);
  if (atomic.xchg<u32>(word, 0) & AWAITED) atomic.notify(word, -1);
}

/** A vector in the form it is compared in, made of what is stored of a node. */
@inline
function formOf(node: u32, form: usize): usize {
  if (!isQuantised) return vectorOf(node);
  formOfCode(node, form);
  return form;
}

/** Puts a node into the first `count` of `candidates`, sorted by its distance from a base; equal ones in a shuffled order. */
@inline
function place(node: u32, distance: f32, count: i32): void {
  insertKey(candidates, keyOf(distance, ((node << 1) ^ salt) * SHUFFLE), count);
}

/** Sorts the `count` nodes at `nodes` into `candidates`, by their distance from `base`. */
export function sortAround(base: u32, nodes: usize, count: i32): void {
  salt = base * SHUFFLE * SHUFFLE;
  clear(candidates, count);
  const form = formOf(base, baseForm);
  const factor = codeFactor();
  const offset: f32 = isQuantised ? codeOffset(base) : 0;
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const at = nodes + (<usize>i << 2);
    const a = load<u32>(at);
    const b = load<u32>(at, 4);
    const c = load<u32>(at, 8);
    const d = load<u32>(at, 12);
    const four = compare4(form, factor, offset, a, b, c, d);
    place(a, f32x4.extract_lane(four, 0), i);
    place(b, f32x4.extract_lane(four, 1), i + 1);
    place(c, f32x4.extract_lane(four, 2), i + 2);
    place(d, f32x4.extract_lane(four, 3), i + 3);
  }
  for (; i < count; i++) {
    const node = load<u32>(nodes + (<usize>i << 2));
    place(node, compare(form, factor, offset, node), i);
  }
}

@inline
function isNearerToChosen(node: u32, distance: f32, count: i32): bool {
  if (count === 0) return false;
  const form = formOf(node, candidateForm);
  const factor = codeFactor();
  const offset: f32 = isQuantised ? codeOffset(node) : 0;
  let j = 0;
  for (; j + 4 <= count; j += 4) {
    const at = chosen + (<usize>j << 2);
    const four = compare4(form, factor, offset, load<u32>(at), load<u32>(at, 4), load<u32>(at, 8), load<u32>(at, 12));
    if (v128.any_true(f32x4.lt(four, f32x4.splat(distance)))) return true;
  }
  for (; j < count; j++) {
    if (compare(form, factor, offset, load<u32>(chosen + (<usize>j << 2))) < distance) return true;
  }
  return false;
}

/** The distance with the slack. An inner product of vectors of any length has none, as it has no smallest distance. */
@inline
function withSlack(distance: f32): f32 {
  if (!isDot) return distance * SLACK;
  if (!isUnit) return distance;
  const unit: f32 = isQuantised ? load<f32>(HEADER + UNIT * 4) : 1;
  const least = -unit * unit;
  return least + (distance - least) * SLACK;
}

/**
 * Chooses from `count` sorted keys into `chosen`, beside the `taken` that are there, up to `most`: those that are nearer to the base than to any chosen before
 * (Malkov and Yashunin, algorithm 4). Never the base itself, nor what is deleted. `isChosen` says which keys of shuffled ones.
 */
@inline
function choose(keys: usize, count: i32, base: u32, taken: i32, most: i32, unshuffle: u32): i32 {
  let i = 0;
  for (; i < count && taken < most; i++) {
    const key = load<u64>(keys + (<usize>i << 3));
    const node = (unshuffle === AS_IS ? <u32>key : (<u32>key * unshuffle) ^ salt) >> 1;
    const distance = distanceOfKey(key);
    const isWanted =
      node !== base &&
      !(stateOf(node) & DELETED) &&
      !isNearerToChosen(node, unshuffle === AS_IS ? distance : withSlack(distance), taken);
    if (unshuffle !== AS_IS) store<u8>(isChosen + i, <u8>isWanted);
    if (!isWanted) continue;
    store<u32>(chosen + (<usize>taken << 2), node);
    taken++;
  }
  if (unshuffle !== AS_IS) for (; i < count; i++) store<u8>(isChosen + i, 0);
  return taken;
}

/** Chooses from the walk's list. */
export function chooseFromWalk(keys: usize, count: i32, base: u32, most: i32): i32 {
  return choose(keys, count, base, 0, most, AS_IS);
}

/** Chooses from `candidates`. */
export function chooseAround(base: u32, count: i32, taken: i32, most: i32): i32 {
  return choose(candidates, count, base, taken, most, UNSHUFFLE);
}

@inline
export function candidateAt(i: i32): u32 {
  return ((load<u32>(candidates + (<usize>i << 3)) * UNSHUFFLE) ^ salt) >> 1;
}

export function countLinks(links: usize, most: i32): i32 {
  let count = 0;
  while (count < most && load<u32>(links + (<usize>count << 2)) !== NONE) count++;
  return count;
}

export function hasLink(links: usize, count: i32, node: u32): bool {
  for (let i = 0; i < count; i++) if (load<u32>(links + (<usize>i << 2)) === node) return true;
  return false;
}

@inline
export function setLink(links: usize, i: i32, node: u32): void {
  atomic.store<u32>(links + (<usize>i << 2), node);
}

@inline
export function addIndegree(node: u32): void {
  atomic.add<u32>(indegreeOf(node), 1);
}

/** Takes one from a node's links towards it; false, and not taken, when it is the last. */
export function releaseIndegree(node: u32): bool {
  if (atomic.sub<u32>(indegreeOf(node), 1) > 1) return true;
  addIndegree(node);
  return false;
}

/** Takes one from a node's links towards it, whether or not another remains. Returns how many remain. */
export function dropIndegree(node: u32): u32 {
  const before = atomic.sub<u32>(indegreeOf(node), 1);
  if (before !== 0) return before - 1;
  addIndegree(node);
  return 0;
}

/** Writes the `count` of `chosen` as the list, whose words are valid links at every moment. */
export function writeLinks(links: usize, count: i32, most: i32): void {
  for (let i = 0; i < count; i++) setLink(links, i, load<u32>(chosen + (<usize>i << 2)));
  for (let i = count; i < most; i++) setLink(links, i, NONE);
}

/**
 * Keeps the last link towards a node that was not chosen: added to `chosen`, or instead of the farthest one there that has
 * another. Returns how many are chosen now.
 */
export function keepLast(node: u32, count: i32, most: i32): i32 {
  if (count < most) {
    store<u32>(chosen + (<usize>count << 2), node);
    return count + 1;
  }
  for (let i = count - 1; i >= 0; i--) {
    const at = chosen + (<usize>i << 2);
    if (!releaseIndegree(load<u32>(at))) continue;
    store<u32>(at, node);
    return count;
  }
  // All there are last ones, too.
  dropIndegree(node);
  return count;
}

/** Chooses anew among the links of a full list and `node`. */
function replaceLinks(from: u32, links: usize, most: i32, node: u32, level: i32, isForced: bool): void {
  // The newcomer stands behind the list for a moment, in a copy of it.
  memory.copy(chosen, links, <usize>most << 2);
  store<u32>(chosen + (<usize>most << 2), node);
  sortAround(from, chosen, most + 1);
  let count = chooseAround(from, most + 1, 0, most);
  if (level === 0) {
    addIndegree(node);
    for (let i = 0; i <= most; i++) {
      if (load<u8>(isChosen + i)) continue;
      const dropped = candidateAt(i);
      if (stateOf(dropped) & DELETED) dropIndegree(dropped);
      else if (dropped === node && !isForced) dropIndegree(node);
      else if (!releaseIndegree(dropped)) count = keepLast(dropped, count, most);
    }
  }
  writeLinks(links, count, most);
}

/** Adds the link `from` → `node`. A forced one is kept when no other leads to `node`. */
export function link(from: u32, node: u32, level: i32, isForced: bool): void {
  if (!lock(from)) return;
  const most = linksMax(level);
  const links = linksOf(from, level);
  const count = countLinks(links, most);
  if (!(stateOf(node) & DELETED) && !(stateOf(from) & DOOMED) && !hasLink(links, count, node)) {
    if (count < most) {
      if (level === 0) addIndegree(node);
      setLink(links, count, node);
    } else {
      replaceLinks(from, links, most, node, level, isForced);
    }
  }
  unlock(from);
}

/** Adds links from `node` to the `count` nodes at `nodes`, beside what others have linked meanwhile. */
export function linkOwn(node: u32, nodes: usize, count: i32, level: i32): void {
  if (!lock(node)) return;
  const most = linksMax(level);
  const links = linksOf(node, level);
  let there = countLinks(links, most);
  for (let i = 0; i < count && there < most; i++) {
    const next = load<u32>(nodes + (<usize>i << 2));
    if (stateOf(next) & DELETED || hasLink(links, there, next)) continue;
    if (level === 0) addIndegree(next);
    setLink(links, there++, next);
  }
  unlock(node);
}
