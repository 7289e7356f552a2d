import type { GraphMemory } from './graph-memory.ts';

/** Somewhere else for the exact vectors of graphs. */
export interface VectorRoom {
  /** Takes over those of a graph that nobody else knows yet. */
  adopt(graph: GraphMemory): void;
  /** Whether there is room for those of so many nodes. */
  reserve(graph: GraphMemory, nodes: number): boolean;
  /** The graph is not used any more. */
  release(graph: GraphMemory): void;
}
