// Lists of links: writing them, and the lock that a writer of one holds. The contract is in graph.ts.
import { chooseAround, droppedAt, droppedCount, sortAround } from './choose';
import { AWAITED, DELETED, DOOMED, NONE, SETTLED_SHIFT, SKIPPED } from './layout';
import {
  chosen,
  countOwn,
  indegreeOf,
  linksMax,
  linksOf,
  lockOf,
  slot,
  stateAt,
  stateOf,
} from './memory';

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

export function countLinks(links: usize, most: i32): i32 {
  let count = 0;
  while (count < most && load<u32>(links + (<usize>count << 2)) !== NONE) count++;
  return count;
}

export function hasLink(links: usize, count: i32, node: u32): bool {
  for (let i = 0; i < count; i++) if (load<u32>(links + (<usize>i << 2)) === node) return true;
  return false;
}

/** How many of the first links of a node's ground list were chosen together. Its lock is held. */
@inline
function settledOf(node: u32, level: i32): i32 {
  return level === 0 ? <i32>(stateOf(node) >>> SETTLED_SHIFT) : 0;
}

export function settle(node: u32, level: i32, count: i32): void {
  if (level === 0) atomic.add<u32>(stateAt(node), (count - settledOf(node, 0)) << SETTLED_SHIFT);
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
  sortAround(from, chosen, most + 1, settledOf(from, level));
  const wanted = chooseAround(from, most + 1, 0, most);
  let count = wanted;
  let isSettled = true;
  if (level === 0) {
    addIndegree(node);
    for (let i = 0; i < droppedCount; i++) {
      const dropped = droppedAt(i);
      if (stateOf(dropped) & DELETED) dropIndegree(dropped);
      else if (dropped === node && !isForced) dropIndegree(node);
      else if (!releaseIndegree(dropped)) {
        count = keepLast(dropped, count, most);
        isSettled = false;
      }
    }
  }
  writeLinks(links, count, most);
  settle(from, level, isSettled ? wanted : 0);
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
  const before = countLinks(links, most);
  let there = before;
  for (let i = 0; i < count && there < most; i++) {
    const next = load<u32>(nodes + (<usize>i << 2));
    if (stateOf(next) & DELETED || hasLink(links, before, next)) continue;
    if (level === 0) addIndegree(next);
    setLink(links, there++, next);
  }
  if (before === 0) settle(node, level, there);
  unlock(node);
}
