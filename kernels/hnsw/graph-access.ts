/** How the owner of graphs gets on with the threads that search them and help to build them. */
import type { GraphMemory } from './graph-memory.ts';

export interface GraphAccess {
  /**
   * Hands a graph to the other threads. Returns the number by which they know it, > 0 and new each time. `reclaim` is called when
   * the thread that had block `slot` of it has ended.
   */
  publish(graph: GraphMemory, reclaim: (slot: number) => void): number;
  /** They need the graph of that number no more. */
  withdraw(number: number): void;
  /** Keeps the others out of all graphs of this thread from now on; true once none is in any. */
  close(): boolean;
  open(): void;
  /** Where the others are now; when {@link passed} is true each has left the graphs since, or was in none. */
  mark(): Int32Array;
  passed(mark: Int32Array): boolean;
  /** There is something to insert: whoever has nothing to do is welcome. */
  call(): void;
}

/** There is nobody else. */
export function aloneWithGraphs(): GraphAccess {
  let published = 0;
  const nobody = new Int32Array(0);
  return {
    publish: () => ++published,
    withdraw() {},
    close: () => true,
    open() {},
    mark: () => nobody,
    passed: () => true,
    call() {},
  };
}
