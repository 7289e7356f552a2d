// Deleting. A deleted node is marked: it is walked through, and not found. A sweep over all nodes takes the links towards
// those that were marked when it began, and gives the nodes that lose some others instead; then they are free.

import { chooseAround, sortAround } from './choose';
import { unlinkAll } from './insert';
import {
  AWAITED,
  DELETED,
  DELETED_COUNT,
  DOOMED,
  ENTRY,
  EPOCH,
  FREE,
  HEADER,
  LIVE,
  LOCKS_MAX,
  NODES,
  NONE,
  TWIN,
  UNLINKED,
} from './layout';
import {
  addIndegree,
  countLinks,
  dropIndegree,
  hasLink,
  lock,
  setLink,
  settle,
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
  newStamp,
  results,
  stateAt,
  stateOf,
  visitedAt,
} from './memory';

/** Most candidates for the links of a node whose neighbours go. */
const CANDIDATES_MAX: i32 = 255;

/** Marks a node deleted, also one that is placed and not inserted yet; false when it was already. */
export function mark(node: u32): bool {
  const word = stateAt(node);
  let state = atomic.load<u32>(word);
  while (!(state & DELETED)) {
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
    // One that is being inserted is not live yet and may have such links; a free one has none at all.
    if (stateOf(node) & (DOOMED | TWIN)) continue;
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

/**
 * Keeps the links of a node that stay, and chooses others among those of the doomed instead of the rest. (Choosing among all
 * anew leaves fewer links with each sweep, and finds less.)
 */
function repair(node: u32, level: i32): void {
  const links = linksOf(node, level);
  const most = linksMax(level);
  const before = countLinks(links, most);
  const stamp = newStamp();
  store<u8>(visitedAt(node), stamp);
  let kept = 0;
  for (let i = 0; i < before; i++) {
    const next = load<u32>(links + (<usize>i << 2));
    store<u8>(visitedAt(next), stamp);
    if (stateOf(next) & DOOMED) continue;
    store<u32>(chosen + (<usize>kept << 2), next);
    kept++;
  }
  let count = 0;
  for (let i = 0; i < before; i++) {
    const next = load<u32>(links + (<usize>i << 2));
    if (!(stateOf(next) & DOOMED)) continue;
    count = addCandidates(linksOf(next, level), most, count, stamp);
    if (level === 0) dropIndegree(next);
  }
  sortAround(node, results, count, 0);
  const taken = chooseAround(node, count, kept, most);
  if (level === 0) {
    for (let i = kept; i < taken; i++) addIndegree(load<u32>(chosen + (<usize>i << 2)));
  }
  writeLinks(links, taken, most);
  settle(node, level, 0);
}

/** Adds what is live and not there yet to the candidates, which lie where results go. */
function addCandidates(links: usize, most: i32, count: i32, stamp: u32): i32 {
  for (let i = 0; i < most && count < CANDIDATES_MAX; i++) {
    const next = load<u32>(links + ((<usize>i) << 2));
    if (next === NONE) break;
    if (stateOf(next) & DELETED || load<u8>(visitedAt(next)) === stamp) continue;
    store<u8>(visitedAt(next), stamp);
    store<u32>(results + ((<usize>count) << 2), next);
    count++;
  }
  return count;
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

/** Sees to it that no walk begins at a doomed node; false when one did. An insertion may make itself the entry late. */
export function replaceEntry(): bool {
  const entry = atomic.load<u32>(HEADER + ENTRY * 4);
  if (entry === NONE || !(stateOf(entry) & DOOMED)) return true;
  atomic.cmpxchg<u32>(HEADER + ENTRY * 4, entry, findEntry());
  return false;
}

/** Returns the epoch from which on nobody can be at what nobody can come to any more. */
export function nextEpoch(): u32 {
  return atomic.add<u32>(HEADER + EPOCH * 4, 1) + 1;
}

/** After all nodes are swept: no link leads to the doomed any more. Returns the epoch from which they may be used again. */
export function sweepEnd(): u32 {
  replaceEntry();
  const nodes = header(NODES);
  begin();
  for (let node: u32 = 0; node < nodes; node++) {
    if ((stateOf(node) & (DOOMED | TWIN)) !== DOOMED) continue;
    unlinkAll(node);
    atomic.or<u32>(stateAt(node), UNLINKED);
  }
  end();
  return nextEpoch();
}

/** A doomed node, or twin, after the grace period: its level stays, for whoever gets it. */
export function free(node: u32): void {
  for (let level = levelOf(node); level >= 0; level--) {
    memory.fill(linksOf(node, level), 0xff, <usize>linksMax(level) << 2);
  }
  if (!(stateOf(node) & TWIN)) atomic.sub<u32>(HEADER + DELETED_COUNT * 4, 1);
  atomic.store<u32>(stateAt(node), levelOf(node) | FREE);
}

/** Undooms everything, as the sweep cannot be completed. */
export function sweepAbort(): void {
  const nodes = header(NODES);
  for (let node: u32 = 0; node < nodes; node++) {
    if (!(stateOf(node) & TWIN)) atomic.and<u32>(stateAt(node), ~DOOMED);
  }
}

/** Frees the locks of thread block `dead`, whose thread is known to have ended, and makes the lists it may have been at proper again. */
export function releaseLocks(dead: u32): u32 {
  const nodes = header(NODES);
  let found = 0;
  for (let lock: u32 = 0; lock < <u32>LOCKS_MAX; lock++) {
    if ((atomic.load<u32>(lockOf(lock)) & ~AWAITED) !== dead + 1) continue;
    for (let node = lock; node < nodes; node += <u32>LOCKS_MAX) {
      if (stateOf(node) & TWIN) continue;
      for (let level = levelOf(node); level >= 0; level--) removeDuplicates(node, level);
    }
    unlock(lock);
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
  settle(node, level, 0);
}
