// Putting a node into the graph, and the queue of nodes that several threads put in together.
import { chooseFromWalk } from './choose';
import {
  BATCH_END,
  BATCH_NEXT,
  DELETED,
  EF_MAX,
  ENTRY,
  FREE,
  HEADER,
  INSERTING,
  LIVE,
  NONE,
  TWIN,
  UPPER_LIMIT,
  UPPER_NEXT,
} from './layout';
import { dropIndegree, link, linkOwn } from './links';
import {
  begin,
  chosen,
  efConstruction,
  end,
  groundLinks,
  header,
  indegreeOf,
  isQuantised,
  levelOf,
  linksOf,
  ownLinks,
  pool,
  query,
  setOwn,
  stateAt,
  stateOf,
  twinAt,
  upperAt,
  upperLinks,
  vectorBytes,
  vectorOf,
} from './memory';
import { encode } from './quantise';
import { scanLive } from './search';
import { descend, NO_END, nodeOfKey, setQuery, walk } from './walk';

/**
 * A walk for a node's links ends early when as many in a row as this share of its list have led to nothing nearer than the first
 * FEW_SHARE of it, from which nearly all links are chosen: a sixth less time, for a thousandth of recall.
 */
const PATIENCE_SHARE: i32 = 6;
const FEW_SHARE: i32 = 3;

/**
 * Makes a node ready to be inserted, whose vector is in the thread's query buffer: no links, a level, its row, its code. A node that is
 * used again keeps its level, and with it the memory of its links. Nobody can reach the node yet.
 */
export function place(node: u32, level: i32): void {
  const ground = linksOf(node, 0);
  memory.fill(ground, 0xff, (<usize>groundLinks) << 2);
  store<u32>(indegreeOf(node), 0);
  store<u32>(twinAt(node), 0);
  const upper = load<u32>(upperAt(node));
  const own = upper !== 0 ? levelOf(node) : reserveUpper(node, level);
  if (own > 0) memory.fill(linksOf(node, 1), 0xff, (<usize>own * <usize>upperLinks) << 2);
  atomic.store<u32>(stateAt(node), own);
  memory.copy(vectorOf(node), query, vectorBytes);
  if (isQuantised) encode(node, query);
}

/** The level that the node gets: 0 when there is no room for more. */
function reserveUpper(node: u32, level: i32): i32 {
  const next = header(UPPER_NEXT);
  const bytes = (<u32>level * <u32>upperLinks) << 2;
  if (level === 0 || next > header(UPPER_LIMIT) - bytes) return 0;
  store<u32>(upperAt(node), next);
  store<u32>(HEADER + UPPER_NEXT * 4, next + bytes);
  return level;
}

/** Makes a placed node one that exact search finds, without links. */
export function admit(node: u32): void {
  if (!(stateOf(node) & (TWIN | FREE))) goLive(node);
}

/** Makes `node` the entry if its level is the highest. */
function becomeEntry(node: u32, level: i32): void {
  const word = HEADER + ENTRY * 4;
  let entry = atomic.load<u32>(word);
  while (entry === NONE || levelOf(entry) < level) {
    const seen = atomic.cmpxchg<u32>(word, entry, node);
    if (seen === entry) return;
    entry = seen;
  }
}

/** Makes a node findable, unless it was deleted meanwhile; whether it is. */
function goLive(node: u32): bool {
  const word = stateAt(node);
  let state = atomic.load<u32>(word);
  while (!(state & DELETED)) {
    const seen = atomic.cmpxchg<u32>(word, state, state | LIVE);
    if (seen === state) return true;
    state = seen;
  }
  return false;
}

/** Inserting a node again completes what a thread that ended has left half done. */
export function insert(node: u32): void {
  if (stateOf(node) & (DELETED | TWIN | FREE)) return;
  begin();
  setOwn(INSERTING, node + 1);
  const level = levelOf(node);
  let entry = atomic.load<u32>(HEADER + ENTRY * 4);
  if (entry === NONE) entry = atomic.cmpxchg<u32>(HEADER + ENTRY * 4, NONE, node);
  if (entry !== NONE && entry !== node) connect(node, level, entry);
  if (goLive(node)) becomeEntry(node, level);
  setOwn(INSERTING, 0);
  end();
}

function connect(node: u32, level: i32, entry: u32): void {
  setQuery(vectorOf(node));
  const top = levelOf(entry);
  let at = descend(entry, top, level);
  for (let l = min(level, top); l >= 0; l--) {
    const found = walk(at, efConstruction, l, efConstruction / FEW_SHARE, efConstruction / PATIENCE_SHARE + 1);
    at = nodeOfKey(load<u64>(pool));
    let count = chooseFromWalk(found, node, upperLinks);
    if (l === 0 && count === 0) count = chooseFarther(node, at);
    // Linking back chooses, too.
    memory.copy(ownLinks, chosen, (<usize>count) << 2);
    linkOwn(node, ownLinks, count, l);
    for (let i = 0; i < count; i++) link(load<u32>(ownLinks + ((<usize>i) << 2)), node, l, false);
    if (l === 0 && count > 0 && load<u32>(indegreeOf(node)) === 0) link(load<u32>(ownLinks), node, 0, true);
  }
}

/** Chooses links for a node around which all is deleted. When nothing is live at all, the node is where walks begin. */
function chooseFarther(node: u32, at: u32): i32 {
  const count = chooseFromWalk(walk(at, EF_MAX, 0, 0, NO_END), node, upperLinks);
  if (count > 0) return count;
  memory.copy(query, vectorOf(node), vectorBytes);
  const scanned = chooseFromWalk(scanLive(upperLinks), node, upperLinks);
  const word = HEADER + ENTRY * 4;
  const entry = atomic.load<u32>(word);
  if (scanned === 0 && stateOf(entry) & DELETED) atomic.cmpxchg<u32>(word, entry, node);
  return scanned;
}

/** Inserts up to `budget` nodes of the batch; returns how many, fewer when none are left. */
export function insertBatch(budget: i32): i32 {
  const last = atomic.load<u32>(HEADER + BATCH_END * 4);
  for (let done = 0; done < budget; done++) {
    const node = atomic.add<u32>(HEADER + BATCH_NEXT * 4, 1);
    if (node >= last) {
      atomic.sub<u32>(HEADER + BATCH_NEXT * 4, 1);
      return done;
    }
    insert(node);
  }
  return budget;
}

/** Gives a node that has lost its last link another one, from the first of those that it links to itself. */
export function rescue(node: u32): void {
  const next = load<u32>(linksOf(node, 0));
  if (next !== NONE) link(next, node, 0, true);
}

/** Takes the links of a node that is to be free; what they alone led to is rescued. */
export function unlinkAll(node: u32): void {
  const links = linksOf(node, 0);
  for (let i = 0; i < groundLinks; i++) {
    const next = load<u32>(links + ((<usize>i) << 2));
    if (next === NONE) break;
    if (dropIndegree(next) === 0 && load<u32>(stateAt(next)) & LIVE) rescue(next);
  }
}
