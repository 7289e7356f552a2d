// Choosing the links of a node, the base, among candidates: those that are nearer to the base than to any chosen before (Malkov and
// Yashunin, algorithm 4), nearest first.
//
// Candidates lie in `rest`, by distance. Each that is chosen takes out what is nearer to it than to the base, four at a time, so that
// only what is chosen is brought into the form in which it is compared. Links that were chosen together before are settled: they do
// not take each other out, and are compared with newcomers alone.
import { compare, compare4 } from './compare';
import { DELETED, EF_MAX, HEADER, UNIT } from './layout';
import { chosen, isDot, isQuantised, isUnit, otherForm, pool, results, stateOf, vectorOf } from './memory';
import { clear, distanceOfKey, insertKey, keyOf } from './nearest';
import { codeFactor, codeOffset, formOfCode } from './quantise';

/** An odd number and its inverse modulo 2^32: they shuffle the order of nodes at equal distances, and back. */
const SHUFFLE: u32 = 0x9e3779b1;
const UNSHUFFLE: u32 = 0x0e8b2f51;
/** Another order for each base, or all of many identical vectors would choose the same few. */
let salt: u32 = 0;

/** Low bit of an entry of `rest`, above which is the node. */
const SETTLED: u32 = 1;
/** From an entry in `rest` to its bound: a candidate nearer than that to one that was chosen is taken out. */
const BOUND: usize = EF_MAX * 4;
/** The farther ones of a longer list are not looked at. */
const REST_MAX: i32 = EF_MAX - 4;

/**
 * When a list is chosen anew, only a candidate that is clearly nearer to one that was chosen is left out: its squared distance is less
 * than this share of that to the base. Without such a slack a graph gets worse with each deletion (Singh et al., FreshDiskANN, 2021),
 * and nodes far from all others lose what leads to them. The less it is, the fuller lists are, and the more often one is chosen anew.
 */
const SLACK: f32 = 0.9;

/** Candidates of the last choice that were not chosen. */
export let droppedCount: i32 = 0;

/** A vector in the form it is compared in, made of what is stored of a node. */
@inline
function formOf(node: u32): usize {
  if (!isQuantised) return vectorOf(node);
  formOfCode(node, otherForm);
  return otherForm;
}

@inline
function offsetOf(node: u32): f32 {
  return isQuantised ? codeOffset(node) : 0;
}

/** Puts an entry into the list, which has `count`, sorted by its distance from a base; equal ones in a shuffled order. */
@inline
function place(entry: u32, distance: f32, count: i32): void {
  insertKey(pool, keyOf(distance, (entry ^ salt) * SHUFFLE), count);
}

/** Sorts the `count` nodes at `nodes`, of which the first `settled` were chosen together, into the list, by their distance from `base`. */
export function sortAround(base: u32, nodes: usize, count: i32, settled: i32): void {
  salt = base * SHUFFLE * SHUFFLE;
  clear(pool, count);
  const form = formOf(base);
  const factor = codeFactor();
  const offset = offsetOf(base);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const at = nodes + (<usize>i << 2);
    const a = load<u32>(at);
    const b = load<u32>(at, 4);
    const c = load<u32>(at, 8);
    const d = load<u32>(at, 12);
    const four = compare4(form, factor, offset, a, b, c, d);
    place((a << 1) | u32(i < settled), f32x4.extract_lane(four, 0), i);
    place((b << 1) | u32(i + 1 < settled), f32x4.extract_lane(four, 1), i + 1);
    place((c << 1) | u32(i + 2 < settled), f32x4.extract_lane(four, 2), i + 2);
    place((d << 1) | u32(i + 3 < settled), f32x4.extract_lane(four, 3), i + 3);
  }
  for (; i < count; i++) {
    const node = load<u32>(nodes + (<usize>i << 2));
    place((node << 1) | u32(i < settled), compare(form, factor, offset, node), i);
  }
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

/** What is dropped lies where the list was: a node takes half the room of a key, and was read before. */
@inline
function drop(node: u32): void {
  store<u32>(pool + (<usize>droppedCount << 2), node);
  droppedCount++;
}

/** Adds a candidate to the `count` of `rest`, unless it is the base itself or deleted; returns how many there are. */
@inline
function addToRest(entry: u32, bound: f32, base: u32, count: i32): i32 {
  const node = entry >> 1;
  if (node === base || stateOf(node) & DELETED) {
    drop(node);
    return count;
  }
  const at = results + (<usize>count << 2);
  store<u32>(at, entry);
  store<f32>(at + BOUND, bound);
  return count + 1;
}

function isNearerToChosen(form: usize, node: u32, bound: f32, count: i32): bool {
  const factor = codeFactor();
  const offset = offsetOf(node);
  let j = 0;
  for (; j + 4 <= count; j += 4) {
    const at = chosen + (<usize>j << 2);
    const four = compare4(form, factor, offset, load<u32>(at), load<u32>(at, 4), load<u32>(at, 8), load<u32>(at, 12));
    if (v128.any_true(f32x4.lt(four, f32x4.splat(bound)))) return true;
  }
  for (; j < count; j++) {
    if (compare(form, factor, offset, load<u32>(chosen + (<usize>j << 2))) < bound) return true;
  }
  return false;
}

/** Takes out of rest[first, count) what is nearer to `node`, whose form is given, than its bound; returns where the rest ends now. */
function dropNear(form: usize, node: u32, first: i32, count: i32): i32 {
  const factor = codeFactor();
  const offset = offsetOf(node);
  const end = results + (<usize>count << 2);
  // Four are compared at a time, so three more are there than that.
  store<u32>(end, node << 1);
  store<u32>(end, node << 1, 4);
  store<u32>(end, node << 1, 8);
  let to = results + (<usize>first << 2);
  let gone = pool + (<usize>droppedCount << 2);
  for (let at = to; at < end; at += 16) {
    const four = compare4(
      form,
      factor,
      offset,
      load<u32>(at) >> 1,
      load<u32>(at, 4) >> 1,
      load<u32>(at, 8) >> 1,
      load<u32>(at, 12) >> 1,
    );
    let nearer = i32x4.bitmask(f32x4.lt(four, v128.load(at, BOUND)));
    const past = min(at + 16, end);
    for (let each = at; each < past; each += 4) {
      const entry = load<u32>(each);
      store<u32>(to, entry);
      store<f32>(to, load<f32>(each, BOUND), BOUND);
      store<u32>(gone, entry >> 1);
      const isGone = <usize>(nearer & 1) << 2;
      nearer >>= 1;
      to += 4 - isGone;
      gone += isGone;
    }
  }
  droppedCount = <i32>((gone - pool) >> 2);
  return <i32>((to - results) >> 2);
}

/**
 * Chooses among the `count` of `rest` into `chosen`, beside the `taken` that are there, up to `most`; returns how many are
 * chosen then.
 */
function choose(count: i32, taken: i32, most: i32): i32 {
  let first = 0;
  let hasSettled = taken > 0;
  while (first < count && taken < most) {
    const at = results + (<usize>first << 2);
    first++;
    const entry = load<u32>(at);
    const node = entry >> 1;
    if (entry & SETTLED) {
      hasSettled = true;
    } else {
      const form = formOf(node);
      if (hasSettled && isNearerToChosen(form, node, load<f32>(at, BOUND), taken)) {
        drop(node);
        continue;
      }
      count = dropNear(form, node, first, count);
    }
    store<u32>(chosen + (<usize>taken << 2), node);
    taken++;
  }
  for (; first < count; first++) drop(load<u32>(results + (<usize>first << 2)) >> 1);
  return taken;
}

/** Chooses among the first `count` that a walk has left in the list. */
export function chooseFromWalk(count: i32, base: u32, links: i32): i32 {
  let rest = 0;
  droppedCount = 0;
  const most = min(count, REST_MAX);
  for (let i = 0; i < most; i++) {
    const key = load<u64>(pool + (<usize>i << 3));
    rest = addToRest(<u32>key & ~SETTLED, distanceOfKey(key), base, rest);
  }
  return choose(rest, 0, links);
}

/** Chooses among the first `count` that sortAround() has left in the list. */
export function chooseAround(base: u32, count: i32, taken: i32, most: i32): i32 {
  let rest = 0;
  droppedCount = 0;
  for (let i = 0; i < count; i++) {
    const key = load<u64>(pool + (<usize>i << 3));
    rest = addToRest((<u32>key * UNSHUFFLE) ^ salt, withSlack(distanceOfKey(key)), base, rest);
  }
  return choose(rest, taken, most);
}

@inline
export function droppedAt(i: i32): u32 {
  return load<u32>(pool + (<usize>i << 2));
}
