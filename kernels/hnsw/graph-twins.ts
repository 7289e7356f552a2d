/**
 * Nodes with equal vectors: one of them, the first, is in the graph, and the others hang on it in a chain. Otherwise many
 * identical vectors would have links to each other alone, and a walk that came among them would not come out again.
 *
 * The owner's. Whoever searches follows a chain while it changes: each step is one store, and a node that has left its chain
 * still leads on until nobody can be at it. A first that is removed before its twins stays, hidden; a hidden one has a twin.
 */
import * as layout from '../assembly/layout.ts';
import { type GraphMemory, headerWord } from './graph-memory.ts';
import type { GraphExports } from './graph-module.ts';
import { NodeTable } from './node-table.ts';

export class Twins {
  /** Every node of the graph that is not deleted, by its row. */
  readonly #firsts: NodeTable;
  readonly #graph: GraphMemory;
  readonly #exports: GraphExports;
  readonly #states: number;
  readonly #norms: number;
  readonly #twins: number;
  readonly #indegrees: number;
  readonly #rows: number;
  readonly #rowBytes: number;

  constructor(graph: GraphMemory, exports: GraphExports) {
    const word = (name: number) => graph.u32[headerWord(name)]!;
    this.#graph = graph;
    this.#exports = exports;
    this.#states = word(layout.STATES) / 4;
    this.#norms = word(layout.NORMS) / 4;
    this.#twins = word(layout.TWINS) / 4;
    this.#indegrees = word(layout.INDEGREES) / 4;
    this.#rows = word(layout.VECTORS);
    this.#rowBytes = word(layout.VECTOR_BYTES);
    this.#firsts = new NodeTable(
      (node) => this.hashAt(this.rowAt(node)),
      (node, row) => this.#exports.isSameRow(this.rowAt(node), row, this.#rowBytes) !== 0,
    );
  }

  /** Byte address of a node's vector. */
  rowAt(node: number): number {
    return this.#rows + node * this.#rowBytes;
  }

  /** Rows that differ. */
  get distinct(): number {
    return this.#firsts.size;
  }

  get bytes(): number {
    return this.#firsts.bytes;
  }

  /** Of the row at the byte address. */
  hashAt(row: number): number {
    return this.#exports.hashRow(row, this.#rowBytes) >>> 0;
  }

  /** The node of the graph whose row is as the one at the byte address, −1 if none. */
  find(hash: number, row: number): number {
    return this.#firsts.find(hash, row);
  }

  /** So many nodes are about to be added. */
  reserve(nodes: number): void {
    this.#firsts.reserve(nodes);
  }

  /** A node whose row is written. */
  add(hash: number, node: number): void {
    this.#firsts.add(hash, node);
  }

  /** A node of the graph that is to be deleted. */
  remove(node: number): void {
    this.#firsts.remove(this.hashAt(this.rowAt(node)), node);
  }

  isTwin(node: number): boolean {
    return (this.#state(node) & layout.TWIN) !== 0;
  }

  isHidden(node: number): boolean {
    return (this.#state(node) & layout.HIDDEN) !== 0;
  }

  hasTwins(node: number): boolean {
    return this.#graph.u32[this.#twins + node] !== 0;
  }

  /** The node that holds the vector of `node`. */
  firstOf(node: number): number {
    return this.isTwin(node) ? this.#graph.u32[this.#norms + node]! : node;
  }

  /** The node after this one in its chain, −1 = it is the last. */
  next(node: number): number {
    return Atomics.load(this.#graph.i32, this.#twins + node) - 1;
  }

  hide(first: number): void {
    Atomics.or(this.#graph.i32, this.#states + first, layout.HIDDEN);
  }

  show(first: number): void {
    Atomics.and(this.#graph.i32, this.#states + first, ~layout.HIDDEN);
  }

  /** Hangs a node that is nowhere on `first`. */
  join(first: number, node: number): void {
    const { i32, u32 } = this.#graph;
    const next = u32[this.#twins + first]!;
    u32[this.#norms + node] = first;
    u32[this.#indegrees + node] = first;
    u32[this.#twins + node] = next;
    Atomics.store(i32, this.#states + node, (this.#state(node) & layout.LEVEL_MASK) | layout.TWIN);
    if (next !== 0) u32[this.#indegrees + next - 1] = node;
    Atomics.store(i32, this.#twins + first, node + 1);
  }

  /** Takes a twin out of its chain. It may be used again when nobody can be at it. */
  leave(node: number): void {
    const { i32, u32 } = this.#graph;
    const before = u32[this.#indegrees + node]!;
    const next = u32[this.#twins + node]!;
    Atomics.or(i32, this.#states + node, layout.DOOMED);
    if (next !== 0) u32[this.#indegrees + next - 1] = before;
    Atomics.store(i32, this.#twins + before, next);
  }

  #state(node: number): number {
    return this.#graph.u32[this.#states + node]!;
  }
}
