// Searching among what passes a filter: a set of labels or of nodes, as bits in the thread's block. A node passes when its label does,
// or that of one of its twins.
import { EF_MAX, ENTRY, HEADER, HIDDEN, LIVE, NONE } from './layout';
import { distances, labelOf, levelOf, neighbours, newStamp, passing, pool, query, results, stateOf, twinAt } from './memory';
import { clear, distanceAt, insertKey } from './nearest';
import { writeResult } from './search';
import { descend, expand, first, keyOfNode, nodeOfKey, setQuery } from './walk';

/** Whether the bits are of nodes, and not of labels. */
let isOfNodes: bool = false;

export function passingAt(): usize {
  return passing;
}

export function setPassing(ofNodes: bool): void {
  isOfNodes = ofNodes;
}

@inline
function hasBit(node: u32): bool {
  const bit = isOfNodes ? node : load<u32>(labelOf(node));
  return ((load<u32>(passing + (<usize>(bit >> 5) << 2)) >> (bit & 31)) & 1) !== 0;
}

function passes(node: u32): bool {
  const state = stateOf(node);
  if (!(state & LIVE)) return false;
  if (!(state & HIDDEN) && hasBit(node)) return true;
  let twin = atomic.load<u32>(twinAt(node));
  for (; twin !== 0; twin = atomic.load<u32>(twinAt(twin - 1))) if (hasBit(twin - 1)) return true;
  return false;
}

/**
 * Like find(), but of what passes: walks on until the nearest `ef` that pass are nearer than all that is left to follow, through
 * whatever lies between, at most EF_MAX at a time. The list has those that pass, with the distances of the walk.
 */
export function findPassing(ef: i32): i32 {
  const entry = atomic.load<u32>(HEADER + ENTRY * 4);
  if (entry === NONE) return 0;
  setQuery(query);
  const start = descend(entry, levelOf(entry), 0);
  const stamp = newStamp();
  let count = first(start, EF_MAX, stamp);
  clear(results, ef);
  let found = 0;
  if (passes(nodeOfKey(load<u64>(pool)))) {
    store<u64>(results, load<u64>(pool));
    found = 1;
  }
  let next = 0;
  while (next < count && distanceAt(pool, next) < distanceAt(results, ef - 1)) {
    const at = pool + (<usize>next << 3);
    const key = load<u64>(at);
    if (<u32>key & 1) {
      next++;
      continue;
    }
    store<u64>(at, key | 1);
    const fresh = expand(nodeOfKey(key), next, count, 0, stamp);
    let lowest = next + 1;
    for (let i = 0; i < fresh; i++) {
      const distance = load<f32>(distances + (<usize>i << 2));
      if (distance >= min(distanceAt(results, ef - 1), distanceAt(pool, EF_MAX - 1))) continue;
      const node = load<u32>(neighbours + (<usize>i << 2));
      const fresher = keyOfNode(distance, node);
      lowest = min(lowest, insertKey(pool, fresher, min(count, EF_MAX - 1)));
      count = min(count + 1, EF_MAX);
      if (!passes(node)) continue;
      insertKey(results, fresher, min(found, ef - 1));
      found = min(found + 1, ef);
    }
    next = lowest;
  }
  memory.copy(pool, results, <usize>found << 3);
  return found;
}

/** Like writeResults(), of what passes. */
export function writePassing(count: i32, k: i32): i32 {
  let written = 0;
  for (let i = 0; i < count && written < k; i++) {
    const key = load<u64>(pool + (<usize>i << 3));
    const distance = distanceAt(pool, i);
    const node = nodeOfKey(key);
    if (!(stateOf(node) & HIDDEN) && hasBit(node)) writeResult(written++, distance, node);
    let twin = atomic.load<u32>(twinAt(node));
    for (; twin !== 0 && written < k; twin = atomic.load<u32>(twinAt(twin - 1))) {
      if (hasBit(twin - 1)) writeResult(written++, distance, twin - 1);
    }
  }
  return written;
}
