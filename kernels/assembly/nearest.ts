// Sorted lists of keys. A key is distance << 32 | anything, the distance as a float32 of either sign: read as one float64 it
// sorts like its distance, and SIMD has a minimum and a maximum of float64. Inserting moves four pairs a step without a branch
// but the one that ends it: each place gets the larger of the one before and the smaller of its own and the new key.
//
// A list is surrounded by what ends every search in it: LIST_BEFORE bytes with a key below all others, and keys of FAR up to
// a multiple of eight places. Behind its end lies what has fallen out of it.

/** Bytes before a list. */
export const LIST_BEFORE: usize = 64;
/** Places that are moved at a time. */
const STEP: i32 = 8;
/** No distance is nearer than this one: infinity, and not a number of float64. */
const FAR: u64 = 0x7f800000 << 32;

@inline
export function keyOf(distance: f32, low: u32): u64 {
  return (<u64>reinterpret<u32>(distance) << 32) | <u64>low;
}

@inline
export function distanceOfKey(key: u64): f32 {
  return reinterpret<f32>(<u32>(key >> 32));
}

/** Empties a list of room for `most` keys. */
@inline
export function clear(list: usize, most: i32): void {
  store<f64>(list - 8, -Infinity);
  const far = i64x2.splat(FAR);
  const end = list + (<usize>((most + STEP - 1) & -STEP) << 3);
  for (let at = list; at < end; at += 64) {
    v128.store(at, far);
    v128.store(at, far, 16);
    v128.store(at, far, 32);
    v128.store(at, far, 48);
  }
}

/** The distance of the key at `i`, infinite when there is none. */
@inline
export function distanceAt(list: usize, i: i32): f32 {
  return load<f32>(list + (<usize>i << 3), 4);
}

/** Puts `key` in its place among the first `count` of a list; returns the place. */
@inline
export function insertKey(list: usize, key: u64, count: i32): i32 {
  const value = reinterpret<f64>(key);
  const both = f64x2.splat(value);
  let at = list + (<usize>(count & -STEP) << 3);
  let a = v128.load(at);
  let b = v128.load(at, 16);
  let c = v128.load(at, 32);
  let d = v128.load(at, 48);
  let before = v128.load(at - 16);
  moveUp(at, before, a, b, c, d, both);
  while (f64x2.extract_lane(before, 1) > value) {
    at -= 64;
    d = before;
    c = v128.load(at, 32);
    b = v128.load(at, 16);
    a = v128.load(at);
    before = v128.load(at - 16);
    moveUp(at, before, a, b, c, d, both);
  }
  // Each that is less counts as −1.
  const ab = i64x2.add(f64x2.lt(a, both), f64x2.lt(b, both));
  const cd = i64x2.add(f64x2.lt(c, both), f64x2.lt(d, both));
  const less = i64x2.add(ab, cd);
  return <i32>((at - list) >> 3) - <i32>(i64x2.extract_lane(less, 0) + i64x2.extract_lane(less, 1));
}

/** Eight places from `at`, which hold `a` … `d` and come after `before`: each gets its own, the key or the one before it. */
@inline
function moveUp(at: usize, before: v128, a: v128, b: v128, c: v128, d: v128, key: v128): void {
  v128.store(at, f64x2.pmax(v128.shuffle<i64>(c, d, 1, 2), f64x2.pmin(d, key)), 48);
  v128.store(at, f64x2.pmax(v128.shuffle<i64>(b, c, 1, 2), f64x2.pmin(c, key)), 32);
  v128.store(at, f64x2.pmax(v128.shuffle<i64>(a, b, 1, 2), f64x2.pmin(b, key)), 16);
  v128.store(at, f64x2.pmax(v128.shuffle<i64>(before, a, 1, 2), f64x2.pmin(a, key)));
}
