// Whether what was read from elsewhere can be walked: every number in it leads to a place that is there.
import { DELETED, DOOMED, ENTRY, HIDDEN, LEVEL_MASK, LIVE, NODES, NONE, TWIN, UPPER_NEXT } from './layout';
import { header, indegreeOf, linksMax, linksOf, normOf, stateOf, twinAt, upperAt, upperLinks } from './memory';

/** Whether no node leads out of the graph, each list ends, and each chain of twins is the one they say. */
export function isWalkable(): bool {
  const nodes = header(NODES);
  const entry = header(ENTRY);
  if (entry !== NONE && (entry >= nodes || !isLinked(entry))) return false;
  for (let node: u32 = 0; node < nodes; node++) {
    const state = stateOf(node);
    if (state & TWIN ? !(state & DOOMED) && !isSoundTwin(node, nodes) : !isSoundNode(node, state, nodes)) return false;
  }
  return true;
}

@inline
function isLinked(node: u32): bool {
  return (stateOf(node) & (LIVE | DELETED)) !== 0;
}

function isSoundNode(node: u32, state: u32, nodes: u32): bool {
  const level: i32 = state & LEVEL_MASK;
  const upper = load<u32>(upperAt(node));
  const bytes = <u64>level * <u64>(upperLinks << 2);
  if (level > 0 && (upper === 0 || <u64>upper + bytes > <u64>header(UPPER_NEXT))) return false;
  const twin = load<u32>(twinAt(node));
  if (twin !== 0 && !isTwinOf(twin - 1, node, node, nodes)) return false;
  if (state & HIDDEN && state & LIVE && twin === 0) return false;
  if (!(state & (LIVE | DELETED))) return true;
  for (let l = level; l >= 0; l--) {
    const links = linksOf(node, l);
    const most = linksMax(l);
    for (let i = 0; i < most; i++) {
      const next = load<u32>(links + (<usize>i << 2));
      if (next === NONE) break;
      if (next >= nodes || !isLinked(next) || <i32>(stateOf(next) & LEVEL_MASK) < l) return false;
    }
  }
  return true;
}

function isSoundTwin(node: u32, nodes: u32): bool {
  const first = load<u32>(normOf(node));
  const before = load<u32>(indegreeOf(node));
  if (first >= nodes || before >= nodes || stateOf(first) & TWIN || load<u32>(twinAt(before)) !== node + 1) return false;
  const next = load<u32>(twinAt(node));
  return next === 0 || isTwinOf(next - 1, first, node, nodes);
}

/** Whether `node` is a twin of `first` that comes after `before`. So no two chains meet, and none is a ring. */
@inline
function isTwinOf(node: u32, first: u32, before: u32, nodes: u32): bool {
  if (node >= nodes || (stateOf(node) & (TWIN | DOOMED)) !== TWIN) return false;
  return load<u32>(normOf(node)) === first && load<u32>(indegreeOf(node)) === before;
}
