// Searching: by a walk, and exactly.
import { dotF32, dotF32x4, squaredF32, squaredF32x4 } from './distance';
import { DELETED_COUNT, ENTRY, HEADER, HIDDEN, LIVE, NODES, NONE } from './layout';
import {
  begin,
  end,
  header,
  isDot,
  isQuantised,
  labelOf,
  levelOf,
  pool,
  query,
  results,
  stateOf,
  twinAt,
  vectorBytes,
  vectorOf,
} from './memory';
import { clear, distanceAt, distanceOfKey } from './nearest';
import { descend, keep, keyOfNode, NO_END, nodeOfKey, offer, setQuery, walk } from './walk';

/** When this thread's walks end early: see walk(). */
let few: i32 = 0;
let patience: i32 = NO_END;

/** From now on a search ends when the links of `patience` nodes in a row have led to nothing among the nearest `few`; 0 = it does not. */
export function endEarly(nearest: i32, links: i32): void {
  few = nearest;
  patience = links > 0 ? links : NO_END;
}

/** Exact distance of the query to a node. Over unit vectors it is that of cosine. */
@inline
function exact(node: u32): f32 {
  const vector = vectorOf(node);
  return isDot ? 1 - dotF32(query, vector, vectorBytes) : squaredF32(query, vector, vectorBytes);
}

/**
 * Fills the list with the nearest live nodes that a walk with `ef` finds, and returns how many. The distances are those of the
 * walk; rank() makes them exact. begin() came before and end() comes when the results are read.
 */
export function find(ef: i32): i32 {
  const entry = atomic.load<u32>(HEADER + ENTRY * 4);
  if (entry === NONE) return 0;
  setQuery(query);
  const count = walk(descend(entry, levelOf(entry), 0), ef, 0, few, patience);
  return atomic.load<u32>(HEADER + DELETED_COUNT * 4) === 0 ? count : keepLive(count);
}

function keepLive(count: i32): i32 {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const key = load<u64>(pool + (<usize>i << 3));
    if (!(stateOf(nodeOfKey(key)) & LIVE)) continue;
    store<u64>(pool + (<usize>kept << 3), key);
    kept++;
  }
  return kept;
}

/** Reads every line of the vectors of the first `count` of the list, so that they come together and not one by one. */
function touchRows(count: i32): void {
  let sum: u32 = 0;
  for (let i = 0; i < count; i++) {
    const row = vectorOf(nodeOfKey(load<u64>(pool + (<usize>i << 3))));
    for (let line = row; line < row + vectorBytes; line += 64) sum += load<u8>(line);
  }
  keep(sum);
}

/** Sorts the first `count` of the list by their exact distances. */
export function rank(count: i32): void {
  if (!isQuantised && !isDot) return;
  touchRows(count);
  memory.copy(results, pool, <usize>count << 3);
  clear(pool, count);
  for (let i = 0; i < count; i++) {
    const node = nodeOfKey(load<u64>(results + (<usize>i << 3)));
    offer(keyOfNode(exact(node), node), i, count);
  }
}

/**
 * Writes the first `k` of the list's first `count`, each followed by its twins, as results: (f32 distance, label) each. Returns how
 * many.
 */
export function writeResults(count: i32, k: i32): i32 {
  let written = 0;
  for (let i = 0; i < count && written < k; i++) {
    const key = load<u64>(pool + (<usize>i << 3));
    const node = nodeOfKey(key);
    const distance = distanceOfKey(key);
    if (!(stateOf(node) & HIDDEN)) writeResult(written++, distance, node);
    let twin = atomic.load<u32>(twinAt(node));
    for (; twin !== 0 && written < k; twin = atomic.load<u32>(twinAt(twin - 1))) {
      writeResult(written++, distance, twin - 1);
    }
  }
  return written;
}

@inline
export function writeResult(i: i32, distance: f32, node: u32): void {
  store<f32>(results + (<usize>i << 3), distance);
  store<u32>(results + (<usize>i << 3) + 4, load<u32>(labelOf(node)));
}

/** A whole search: the `k` nearest by a walk with `ef`, of which `considered` are compared exactly. */
export function search(k: i32, ef: i32, considered: i32): i32 {
  begin();
  const count = min(find(ef), considered);
  rank(count);
  const found = writeResults(count, k);
  end();
  return found;
}

@inline
function offerLive(distance: f32, node: u32, count: i32, k: i32): i32 {
  if (distance >= distanceAt(pool, k - 1)) return count;
  const state = stateOf(node);
  // A graph that was kept begins with nodes that nothing has claimed: hidden, and without twins.
  if (!(state & LIVE) || (state & HIDDEN && atomic.load<u32>(twinAt(node)) === 0)) return count;
  offer(keyOfNode(distance, node), count, k);
  return min(count + 1, k);
}

@inline
function exact4(node: u32): v128 {
  const a = vectorOf(node);
  const b = a + vectorBytes;
  const c = b + vectorBytes;
  const d = c + vectorBytes;
  return isDot
    ? f32x4.sub(f32x4.splat(1), dotF32x4(query, a, b, c, d, vectorBytes))
    : squaredF32x4(query, a, b, c, d, vectorBytes);
}

/** Fills the list with the `k` nearest live nodes; returns how many there are. */
export function scanLive(k: i32): i32 {
  const nodes = header(NODES);
  clear(pool, k);
  let count = 0;
  let node: u32 = 0;
  for (; node + 4 <= nodes; node += 4) {
    const four = exact4(node);
    if (!v128.any_true(f32x4.lt(four, f32x4.splat(distanceAt(pool, k - 1))))) continue;
    count = offerLive(f32x4.extract_lane(four, 0), node, count, k);
    count = offerLive(f32x4.extract_lane(four, 1), node + 1, count, k);
    count = offerLive(f32x4.extract_lane(four, 2), node + 2, count, k);
    count = offerLive(f32x4.extract_lane(four, 3), node + 3, count, k);
  }
  for (; node < nodes; node++) count = offerLive(exact(node), node, count, k);
  return count;
}

/** Exact search among all live nodes. */
export function scan(k: i32): i32 {
  begin();
  const count = scanLive(k);
  const found = writeResults(count, k);
  end();
  return found;
}
