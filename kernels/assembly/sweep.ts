// Deleting. A deleted node is marked: it is walked through, and not found. A sweep over all nodes takes the links towards
// those that were marked when it began, and gives the nodes that lose some others instead; then they are free.

import { insert, rescue, unlinkAll } from './insert';
import { DELETED, DELETED_COUNT, DOOMED, ENTRY, EPOCH, HEADER, INSERTING, LIVE, NODES, NONE } from './layout';
import {
  addIndegree,
  chooseAround,
  countLinks,
  dropIndegree,
  hasLink,
  keepLast,
  lock,
  releaseIndegree,
  setLink,
  sortAround,
  unlock,
  writeLinks,
} from './links';
import {
  begin,
  chosen,
  end,
  header,
  levelOf,
  linksMax,
  linksOf,
  lockOf,
  neighbours,
  newStamp,
  ownLinks,
  stateAt,
  stateOf,
  visitedAt,
} from './memory';

/** Most candidates for the links of a node whose neighbours go. */
const CANDIDATES_MAX: i32 = 255;

/** Marks a node deleted; false when it was not live. */
export function mark(node: u32): bool {
  const word = stateAt(node);
  let state = atomic.load<u32>(word);
  while (state & LIVE && !(state & DELETED)) {
    const seen = atomic.cmpxchg<u32>(word, state, (state & ~LIVE) | DELETED);
    if (seen === state) {
      atomic.add<u32>(HEADER + DELETED_COUNT * 4, 1);
      return true;
    }
    state = seen;
  }
  return false;
}

/** Dooms what is marked; returns how many. */
export function sweepBegin(): u32 {
  const nodes = header(NODES);
  let doomed = 0;
  for (let node: u32 = 0; node < nodes; node++) {
    if (!(stateOf(node) & DELETED)) continue;
    atomic.or<u32>(stateAt(node), DOOMED);
    doomed++;
  }
  return doomed;
}

/** Takes the links towards doomed nodes from `count` nodes from `first`. False when one is locked for good. */
export function sweepNodes(first: u32, count: u32): bool {
  begin();
  let isWhole = true;
  const last = min(first + count, header(NODES));
  for (let node = first; node < last; node++) {
    const state = stateOf(node);
    if (state & DOOMED || !(state & (LIVE | DELETED))) continue;
    for (let level = levelOf(node); level >= 0; level--) {
      if (!linksToDoomed(node, level)) continue;
      if (!lock(node)) {
        isWhole = false;
        continue;
      }
      repair(node, level);
      unlock(node);
    }
  }
  end();
  return isWhole;
}

function linksToDoomed(node: u32, level: i32): bool {
  const links = linksOf(node, level);
  const most = linksMax(level);
  for (let i = 0; i < most; i++) {
    const next = load<u32>(links + ((<usize>i) << 2));
    if (next === NONE) return false;
    if (stateOf(next) & DOOMED) return true;
  }
  return false;
}

/** Chooses the links of a node anew: among those that stay, and those of the doomed ones. */
function repair(node: u32, level: i32): void {
  const links = linksOf(node, level);
  const most = linksMax(level);
  const before = countLinks(links, most);
  memory.copy(ownLinks, links, (<usize>before) << 2);
  const stamp = newStamp();
  store<u8>(visitedAt(node), stamp);
  let count = addCandidates(links, before, 0, stamp);
  for (let i = 0; i < before; i++) {
    const next = load<u32>(ownLinks + ((<usize>i) << 2));
    if (!(stateOf(next) & DOOMED) || levelOf(next) < level) continue;
    count = addCandidates(linksOf(next, level), most, count, stamp);
  }
  sortAround(node, neighbours, count);
  let taken = chooseAround(node, count, most);
  if (level === 0) taken = settleIndegrees(before, taken, most);
  writeLinks(links, taken, most);
}

/** Adds what is live and not there yet. */
function addCandidates(links: usize, most: i32, count: i32, stamp: u32): i32 {
  for (let i = 0; i < most && count < CANDIDATES_MAX; i++) {
    const next = load<u32>(links + ((<usize>i) << 2));
    if (next === NONE) break;
    if (stateOf(next) & DELETED || load<u8>(visitedAt(next)) === stamp) continue;
    store<u8>(visitedAt(next), stamp);
    store<u32>(neighbours + ((<usize>count) << 2), next);
    count++;
  }
  return count;
}

/** Counts the change from the `before` links in `ownLinks` to the `taken` ones in `chosen`; returns how many there are now. */
function settleIndegrees(before: i32, taken: i32, most: i32): i32 {
  for (let i = 0; i < taken; i++) {
    const next = load<u32>(chosen + ((<usize>i) << 2));
    if (!hasLink(ownLinks, before, next)) addIndegree(next);
  }
  const kept = taken;
  for (let i = 0; i < before; i++) {
    const next = load<u32>(ownLinks + ((<usize>i) << 2));
    if (hasLink(chosen, taken, next)) continue;
    if (stateOf(next) & DELETED) dropIndegree(next);
    else if (!releaseIndegree(next)) taken = keepLast(next, taken, most);
  }
  assert(taken >= kept);
  return taken;
}

/** The live node of the highest level, but the doomed; a deleted one when none is live. */
function findEntry(): u32 {
  const nodes = header(NODES);
  let best: u32 = NONE;
  let bestRank = -1;
  for (let node: u32 = 0; node < nodes; node++) {
    const state = stateOf(node);
    if (state & DOOMED || !(state & (LIVE | DELETED))) continue;
    const rank = levelOf(node) + (state & LIVE ? 256 : 0);
    if (rank <= bestRank) continue;
    best = node;
    bestRank = rank;
  }
  return best;
}

/** After all nodes are swept: no link leads to the doomed any more. Returns the epoch from which they may be used again. */
export function sweepEnd(): u32 {
  const entry = atomic.load<u32>(HEADER + ENTRY * 4);
  if (entry !== NONE && stateOf(entry) & DOOMED) {
    // An insertion may have made itself the entry meanwhile.
    atomic.cmpxchg<u32>(HEADER + ENTRY * 4, entry, findEntry());
  }
  const nodes = header(NODES);
  begin();
  for (let node: u32 = 0; node < nodes; node++) if (stateOf(node) & DOOMED) unlinkAll(node);
  end();
  return atomic.add<u32>(HEADER + EPOCH * 4, 1) + 1;
}

/** A doomed node after the grace period: its level stays, for whoever gets it. */
export function free(node: u32): void {
  atomic.and<u32>(stateAt(node), 0xff);
  atomic.sub<u32>(HEADER + DELETED_COUNT * 4, 1);
}

/** Undooms everything, as the sweep cannot be completed. */
export function sweepAbort(): void {
  const nodes = header(NODES);
  for (let node: u32 = 0; node < nodes; node++) atomic.and<u32>(stateAt(node), ~DOOMED);
}

/** Frees the locks of thread block `dead`, whose thread is known to have ended, and makes the lists it was at proper again. */
export function releaseLocks(dead: u32): u32 {
  const nodes = header(NODES);
  let found = 0;
  for (let node: u32 = 0; node < nodes; node++) {
    if (atomic.load<u32>(lockOf(node)) !== dead + 1) continue;
    for (let level = levelOf(node); level >= 0; level--) removeDuplicates(node, level);
    unlock(node);
    found++;
  }
  return found;
}

/** A list that was being rewritten has new links in front and old ones behind, some of them twice. */
function removeDuplicates(node: u32, level: i32): void {
  const links = linksOf(node, level);
  const most = linksMax(level);
  let kept = 0;
  for (let i = 0; i < most; i++) {
    const next = load<u32>(links + ((<usize>i) << 2));
    if (next === NONE || hasLink(links, kept, next)) continue;
    setLink(links, kept++, next);
  }
  for (let i = kept; i < most; i++) setLink(links, i, NONE);
}
