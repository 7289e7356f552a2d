/**
 * Looks at a whole graph and says what is wrong with it: for tests, and for whoever suspects one. Nobody may change it
 * meanwhile.
 */
import * as layout from '../assembly/layout.ts';
import { type GraphMemory, headerWord } from './graph-memory.ts';

export interface GraphAudit {
  /** Broken rules in words, at most {@link FAULTS_MAX}. */
  readonly faults: readonly string[];
  /** Vectors that are found. */
  readonly live: number;
  readonly deleted: number;
  /** Live nodes to which no links lead from the entry, on whatever levels. */
  readonly unreachable: readonly number[];
  /** Nodes whose count of links towards them is wrong. */
  readonly miscounted: number;
}

const FAULTS_MAX = 20;
const HIDDEN_LIVE = layout.HIDDEN | layout.LIVE;

export function auditGraph(graph: GraphMemory): GraphAudit {
  const { u32 } = graph;
  const word = (name: number) => u32[headerWord(name)]!;
  const nodes = word(layout.NODES);
  const m = word(layout.LINKS_MAX);
  const states = word(layout.STATES) / 4;
  const isIn = (node: number) => (u32[states + node]! & (layout.LIVE | layout.DELETED)) !== 0;
  const levelOf = (node: number) => u32[states + node]! & layout.LEVEL_MASK;
  const twinOf = (node: number) => u32[word(layout.TWINS) / 4 + node]! - 1;
  const faults: string[] = [];
  const blame = (fault: string) => {
    if (faults.length < FAULTS_MAX) faults.push(fault);
  };
  const linksOf = (node: number, level: number): Uint32Array => {
    const most = level === 0 ? 2 * m : m;
    const first =
      level === 0
        ? word(layout.LINKS) / 4 + node * 2 * m
        : (word(layout.UPPER_LINKS) + u32[word(layout.UPPER) / 4 + node]!) / 4 + (level - 1) * m;
    const list = u32.subarray(first, first + most);
    const end = list.indexOf(layout.NONE);
    return end < 0 ? list : list.subarray(0, end);
  };
  const counts = new Uint32Array(nodes);
  let live = 0;
  let deleted = 0;
  let twins = 0;
  let chained = 0;
  let hidden = 0;
  for (let lock = 0; lock < layout.LOCKS_MAX; lock++) {
    if (u32[word(layout.LOCKS) / 4 + lock] !== 0) blame(`lock ${lock} is held`);
  }
  for (let node = 0; node < nodes; node++) {
    if ((u32[states + node]! & layout.TWIN) !== 0) twins++;
    if (!isIn(node)) continue;
    for (let twin = twinOf(node); twin >= 0 && chained <= nodes; twin = twinOf(twin)) {
      chained++;
      if ((u32[states + twin]! & layout.TWIN) === 0) blame(`node ${twin} in the chain of ${node} is no twin`);
      if (u32[word(layout.NORMS) / 4 + twin] !== node) blame(`twin ${twin} is not one of ${node}`);
    }
    if ((u32[states + node]! & HIDDEN_LIVE) === HIDDEN_LIVE) {
      hidden++;
      if (twinOf(node) < 0) blame(`node ${node} is hidden and has no twin`);
    }
    if ((u32[states + node]! & layout.LIVE) !== 0) live++;
    else deleted++;
    for (let level = 0; level <= levelOf(node); level++) {
      const links = linksOf(node, level);
      if (new Set(links).size !== links.length) blame(`node ${node} has a link twice on level ${level}`);
      for (const next of links) {
        if (next >= nodes || !isIn(next)) blame(`node ${node} links to ${next}, which is not there`);
        else if (levelOf(next) < level) blame(`node ${node} links to ${next} above its level`);
        else if (level === 0) counts[next]!++;
        if (next === node) blame(`node ${node} links to itself`);
      }
    }
  }
  if (chained > twins) blame(`${chained} twins are in chains, of ${twins}`);
  let miscounted = 0;
  for (let node = 0; node < nodes; node++) {
    if (isIn(node) && counts[node] !== u32[word(layout.INDEGREES) / 4 + node]) miscounted++;
  }
  const reached = reach(word(layout.ENTRY), nodes, linksOf, levelOf);
  const unreachable: number[] = [];
  for (let node = 0; node < nodes; node++) {
    if ((u32[states + node]! & layout.LIVE) !== 0 && reached[node] === 0) unreachable.push(node);
  }
  return { faults, live: live - hidden + chained, deleted, unreachable, miscounted };
}

/** 1 for each node that links lead to from `entry`. */
function reach(
  entry: number,
  nodes: number,
  linksOf: (node: number, level: number) => Uint32Array,
  levelOf: (node: number) => number,
): Uint8Array {
  const reached = new Uint8Array(nodes);
  if (entry === layout.NONE) return reached;
  const open = [entry];
  reached[entry] = 1;
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (let level = 0; level <= levelOf(node); level++) {
      for (const next of linksOf(node, level)) {
        if (next >= nodes || reached[next] === 1) continue;
        reached[next] = 1;
        open.push(next);
      }
    }
  }
  return reached;
}
