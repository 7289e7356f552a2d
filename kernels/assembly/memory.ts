// Where this instance's thread finds things: copies of header words, and the buffers of its own block.
import {
  ACTIVE,
  CAPACITY,
  CENTRES,
  CODE_BYTES,
  CODE_LENGTH,
  CODES,
  COSINE,
  EF_CONSTRUCTION,
  EF_MAX,
  EPOCH,
  HEADER,
  INDEGREES,
  INVERSES,
  LABELS,
  LEVEL_MASK,
  LINKS,
  LINKS_MAX,
  LOCKS,
  LOCKS_MAX,
  METRIC,
  NODES,
  NORMS,
  QUERY,
  SMALL_MORE,
  SQUARED,
  STATES,
  STEPS,
  THREAD_BYTES,
  THREADS,
  TWINS,
  UPPER,
  UPPER_LINKS,
  VECTOR_BYTES,
  VECTORS,
  WEIGHTS,
} from './layout';
import { LIST_BEFORE } from './nearest';

export let slot: u32 = 0;
export let vectorBytes: usize = 0;
export let codeBytes: usize = 0;
export let codeLength: usize = 0;
/** A module is compiled for graphs with codes or for those without: build-graph.ts gives the compiler the constant. */
export const isQuantised: bool = IS_QUANTISED !== 0;
export let isDot: bool = false;
export let isUnit: bool = false;
/** Most links on the ground level and on each above it. */
export let groundLinks: i32 = 0;
export let upperLinks: i32 = 0;
export let efConstruction: i32 = 0;

let linkBase: usize = 0;
let codeBase: usize = 0;
let normBase: usize = 0;
let vectorBase: usize = 0;
let upperBase: usize = 0;
let upperLinkBase: usize = 0;
let stateBase: usize = 0;
let lockBase: usize = 0;
let labelBase: usize = 0;
let indegreeBase: usize = 0;
let twinBase: usize = 0;
export let centres: usize = 0;
export let steps: usize = 0;
export let inverses: usize = 0;
export let weights: usize = 0;

let thread: usize = 0;
export let query: usize = 0;
/** Query forms: of the query; of a node that is compared with others while links are chosen. */
export let queryForm: usize = 0;
export let otherForm: usize = 0;
/** The list of a walk, or of candidates for links, sorted: u64 each; or, once it was read, which of these were not chosen. */
export let pool: usize = 0;
/** Of a search; or, while links are chosen, candidates that are left. */
export let results: usize = 0;
export let neighbours: usize = 0;
export let distances: usize = 0;
export let chosen: usize = 0;
export let ownLinks: usize = 0;
/** One bit for each label, or for each node, that a search may return. */
export let passing: usize = 0;
let visited: usize = 0;
let stamp: u32 = 0;

@inline
export function header(word: i32): u32 {
  return load<u32>(HEADER + (word << 2));
}

/** Binds this instance to thread block `number`, as whoever had it before is gone. */
export function attach(number: u32): void {
  slot = number;
  vectorBytes = header(VECTOR_BYTES);
  codeBytes = header(CODE_BYTES);
  codeLength = header(CODE_LENGTH);
  isDot = header(METRIC) !== SQUARED;
  isUnit = header(METRIC) === COSINE;
  upperLinks = header(LINKS_MAX);
  groundLinks = upperLinks * 2;
  efConstruction = header(EF_CONSTRUCTION);
  linkBase = header(LINKS);
  codeBase = header(CODES);
  normBase = header(NORMS);
  vectorBase = header(VECTORS);
  upperBase = header(UPPER);
  upperLinkBase = header(UPPER_LINKS);
  stateBase = header(STATES);
  lockBase = header(LOCKS);
  labelBase = header(LABELS);
  indegreeBase = header(INDEGREES);
  twinBase = header(TWINS);
  centres = header(CENTRES);
  steps = header(STEPS);
  inverses = header(INVERSES);
  weights = header(WEIGHTS);
  placeBuffers(<usize>header(THREADS) + <usize>number * <usize>header(THREAD_BYTES));
  // Nodes above NODES were never visited by anybody.
  memory.fill(visited, 0, header(NODES));
  stamp = 0;
}

function placeBuffers(block: usize): void {
  thread = block;
  const form = max<usize>(codeBytes * 2, 64);
  const small = ((<usize>(groundLinks + SMALL_MORE) << 2) + 63) & ~63;
  query = block + QUERY;
  queryForm = query + vectorBytes;
  otherForm = queryForm + form;
  pool = otherForm + form + LIST_BEFORE;
  results = pool + EF_MAX * 8 + LIST_BEFORE;
  neighbours = results + EF_MAX * 8;
  distances = neighbours + small;
  chosen = distances + small;
  ownLinks = chosen + small;
  passing = ownLinks + small;
  visited = passing + (((<usize>header(CAPACITY) + 511) >> 9) << 6);
}

/** Nothing that was freed from now on is used again before {@link end}. */
export function begin(): void {
  atomic.store<u32>(thread + ACTIVE * 4, atomic.load<u32>(HEADER + EPOCH * 4));
}

export function end(): void {
  atomic.store<u32>(thread + ACTIVE * 4, 0);
}

@inline
export function setOwn(word: usize, value: u32): void {
  atomic.store<u32>(thread + (word << 2), value);
}

@inline
export function countOwn(word: usize): void {
  const at = thread + (word << 2);
  atomic.store<u32>(at, load<u32>(at) + 1);
}

@inline
export function codeOf(node: u32): usize {
  return codeBase + <usize>node * codeBytes;
}

@inline
export function vectorOf(node: u32): usize {
  return vectorBase + <usize>node * vectorBytes;
}

@inline
export function normOf(node: u32): usize {
  return normBase + (<usize>node << 2);
}

@inline
export function lockOf(node: u32): usize {
  return lockBase + (<usize>(node & (LOCKS_MAX - 1)) << 2);
}

@inline
export function labelOf(node: u32): usize {
  return labelBase + (<usize>node << 2);
}

@inline
export function indegreeOf(node: u32): usize {
  return indegreeBase + (<usize>node << 2);
}

@inline
export function stateAt(node: u32): usize {
  return stateBase + (<usize>node << 2);
}

@inline
export function stateOf(node: u32): u32 {
  return atomic.load<u32>(stateAt(node));
}

@inline
export function levelOf(node: u32): i32 {
  return load<u32>(stateAt(node)) & LEVEL_MASK;
}

@inline
export function twinAt(node: u32): usize {
  return twinBase + (<usize>node << 2);
}

/** Address of the word that says where a node's links above the ground begin, from the first of all; 0 = it has none. */
@inline
export function upperAt(node: u32): usize {
  return upperBase + (<usize>node << 2);
}

@inline
export function linksOf(node: u32, level: i32): usize {
  if (level === 0) return linkBase + <usize>node * (<usize>groundLinks << 2);
  return upperLinkBase + <usize>load<u32>(upperAt(node)) + <usize>(level - 1) * (<usize>upperLinks << 2);
}

@inline
export function linksMax(level: i32): i32 {
  return level === 0 ? groundLinks : upperLinks;
}

/** Begins a walk: nothing is visited. */
export function newStamp(): u32 {
  if (++stamp > 255) {
    memory.fill(visited, 0, header(NODES));
    stamp = 1;
  }
  return stamp;
}

@inline
export function visitedAt(node: u32): usize {
  return visited + <usize>node;
}
