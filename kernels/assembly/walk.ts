// The walk through one level: best first, keeping the `ef` nearest in one sorted list (nearest.ts). The low half of a key is
// node << 1 | whether its links have been followed.
import { compare, compare4 } from './compare';
import { NONE } from './layout';
import {
  codeBytes,
  codeOf,
  distances,
  isQuantised,
  linksMax,
  linksOf,
  neighbours,
  newStamp,
  normOf,
  pool,
  query,
  queryForm,
  upperLinks,
  vectorBytes,
  vectorOf,
  visitedAt,
} from './memory';
import { clear, distanceAt, insertKey, keyOf } from './nearest';
import { prepareQuery, queryFactor, queryOffset } from './quantise';

/** What touching memory ahead of its use reads; kept so that the reads are not optimised away. */
export let touched: u32 = 0;

/** Takes what was read for its effect on the caches alone. */
@inline
export function keep(read: u32): void {
  touched += read;
}

/** The key of a node whose links have not been followed. */
@inline
export function keyOfNode(distance: f32, node: u32): u64 {
  return keyOf(distance, node << 1);
}

@inline
export function nodeOfKey(key: u64): u32 {
  return <u32>key >> 1;
}

@inline
function form(): usize {
  return isQuantised ? queryForm : query;
}

/** Makes ready for walks whose query is the vector at `vector`. */
export function setQuery(vector: usize): void {
  if (isQuantised) prepareQuery(vector);
  else if (vector !== query) memory.copy(query, vector, vectorBytes);
}

/** Bytes of a row that are read ahead: what follows comes by itself, and long rows would push each other out of the first cache. */
const AHEAD_MAX: usize = 512;

/** WASM has no prefetch: one read per cache line of the collected rows' beginnings, all before the first distance needs one. */
@inline
function touch(count: i32): void {
  const end = neighbours + (<usize>count << 2);
  const bytes = isQuantised ? codeBytes : vectorBytes;
  const rows = isQuantised ? codeOf(0) : vectorOf(0);
  const ahead = min(bytes, AHEAD_MAX);
  let sum: u32 = 0;
  for (let at = neighbours; at < end; at += 4) {
    const node = load<u32>(at);
    const row = rows + <usize>node * bytes;
    sum += load<u8>(row);
    if (ahead > 64) sum += load<u8>(row, 64);
    if (ahead > 128) for (let line = row + 128; line < row + ahead; line += 64) sum += load<u8>(line);
    if (isQuantised) sum += load<u8>(normOf(node));
  }
  touched += sum;
}

@inline
function touchLinks(node: u32, level: i32): void {
  const links = linksOf(node, level);
  touched += load<u8>(links) + load<u8>(links, 64);
}

/** Adds `node` at `to` if this walk has not seen it; returns where the next goes. Without a branch, as none would be foreseen. */
@inline
function addFresh(node: u32, to: usize, stamp: u32): usize {
  const mark = visitedAt(node);
  const isFresh = load<u8>(mark) !== stamp;
  store<u8>(mark, stamp);
  store<u32>(to, node);
  return to + (<usize>isFresh << 2);
}

/** Collects the links of `node` that this walk has not seen into `neighbours`; returns how many. touch() comes next. */
@inline
function collect(node: u32, level: i32, stamp: u32): i32 {
  let at = linksOf(node, level);
  let to = neighbours;
  const end = at + (<usize>linksMax(level) << 2);
  for (; at + 16 <= end; at += 16) {
    const last = load<u32>(at, 12);
    if (last === NONE) break;
    to = addFresh(load<u32>(at), to, stamp);
    to = addFresh(load<u32>(at, 4), to, stamp);
    to = addFresh(load<u32>(at, 8), to, stamp);
    to = addFresh(last, to, stamp);
  }
  for (; at < end; at += 4) {
    const next = load<u32>(at);
    if (next === NONE) break;
    to = addFresh(next, to, stamp);
  }
  return <i32>((to - neighbours) >> 2);
}

/** Distances of the `count` collected nodes, into `distances`. */
@inline
function measure(count: i32): void {
  const end = neighbours + (<usize>count << 2);
  const odd = count & 3;
  if (odd > 1) {
    const last = load<u32>(end - 4);
    store<u32>(end, last);
    store<u32>(end, last, 4);
  }
  const fours = odd > 1 ? end : end - (<usize>odd << 2);
  let at = neighbours;
  let to = distances;
  for (; at < fours; at += 16, to += 16) {
    v128.store(
      to,
      compare4(
        form(),
        queryFactor,
        queryOffset,
        load<u32>(at),
        load<u32>(at, 4),
        load<u32>(at, 8),
        load<u32>(at, 12),
      ),
    );
  }
  if (odd === 1) store<f32>(to, compare(form(), queryFactor, queryOffset, load<u32>(at)));
}

/** From `node` to the nearest that a greedy walk finds on each of the levels `from` … `to` + 1. */
export function descend(node: u32, from: i32, to: i32): u32 {
  let best = compare(form(), queryFactor, queryOffset, node);
  // What was seen on a level above was not nearer, and is not on this one.
  const stamp = newStamp();
  for (let level = from; level > to; level--) {
    let isNearer = true;
    while (isNearer) {
      isNearer = false;
      const count = collect(node, level, stamp);
      touch(count);
      measure(count);
      for (let i = 0; i < count; i++) {
        const distance = load<f32>(distances + (<usize>i << 2));
        if (distance >= best) continue;
        best = distance;
        node = load<u32>(neighbours + (<usize>i << 2));
        isNearer = true;
      }
    }
  }
  return node;
}

/** Puts `key` in its place among the first `count` of the walk's list, which loses its last at `ef`; returns the place. */
@inline
export function offer(key: u64, count: i32, ef: i32): i32 {
  return insertKey(pool, key, min(count, ef - 1));
}

/** Begins a walk, in which what was seen has `stamp`, with an empty list for `ef`, and `entry` in it; returns how many are in it, 1. */
@inline
export function first(entry: u32, ef: i32, stamp: u32): i32 {
  clear(pool, ef);
  store<u64>(pool, keyOfNode(compare(form(), queryFactor, queryOffset, entry), entry));
  store<u8>(visitedAt(entry), stamp);
  return 1;
}

/** Measures what `node`, at `place` of a list of `count`, leads to and the walk has not seen; returns how many. */
@inline
export function expand(node: u32, place: i32, count: i32, level: i32, stamp: u32): i32 {
  const fresh = collect(node, level, stamp);
  // The links of the next, too, come while these are measured.
  if (place + 1 < count) touchLinks(nodeOfKey(load<u64>(pool + (<usize>place << 3) + 8)), level);
  touch(fresh);
  measure(fresh);
  return fresh;
}

/** A walk that ends when it has followed the links of all that its list holds. */
export const NO_END: i32 = i32.MAX_VALUE;

/**
 * Fills the list with the nearest that are found on `level` from `entry`; returns how many, at most `ef`. It ends early when, of a
 * full list, the links of `patience` in a row have led to nothing that belongs among the nearest `few`.
 */
export function walk(entry: u32, ef: i32, level: i32, few: i32, patience: i32): i32 {
  const stamp = newStamp();
  let count = first(entry, ef, stamp);
  let next = 0;
  let idle = 0;
  while (next < count && idle < patience) {
    const at = pool + (<usize>next << 3);
    const key = load<u64>(at);
    if (<u32>key & 1) {
      next++;
      continue;
    }
    store<u64>(at, key | 1);
    const fresh = expand(nodeOfKey(key), next, count, level, stamp);
    let limit = distanceAt(pool, ef - 1);
    let lowest = count;
    for (let i = 0; i < fresh; i += 4) {
      const four = distances + (<usize>i << 2);
      let nearer = i32x4.bitmask(f32x4.lt(v128.load(four), f32x4.splat(limit)));
      if (fresh - i < 4) nearer &= (1 << (fresh - i)) - 1;
      while (nearer) {
        const lane = <usize>ctz(nearer) << 2;
        nearer &= nearer - 1;
        const distance = load<f32>(four + lane);
        if (distance >= limit) continue;
        const place = offer(keyOfNode(distance, load<u32>(neighbours + (<usize>i << 2) + lane)), count, ef);
        count = min(count + 1, ef);
        lowest = min(lowest, place);
        limit = distanceAt(pool, ef - 1);
      }
    }
    idle = lowest < few || count < ef ? 0 : idle + 1;
    next = lowest <= next ? lowest : next + 1;
  }
  return count;
}
