/**
 * Keeps a shard's graphs on the disk (graph-file.ts), so that the next mount, or a successor of this thread, need not link every
 * vector again. They are written when a shard ends, and meanwhile a piece at a time, when a graph has changed enough and nothing
 * waits to be moved into it. Whoever takes one believes nothing of it: see SharedGraph.restore().
 */
import type { GrowingGraph } from '../../kernels/hnsw/growing-graph.ts';
import type { SharedGraph } from '../../kernels/hnsw/shared-graph.ts';
import { GRAPHS_MAX } from '../../runtime/config/bounds.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import type { Context } from '../context.ts';
import {
  Damaged,
  GraphFile,
  GraphFileWriter,
  type GraphName,
  graphFilePath,
  listGraphFiles,
} from '../graph-file.ts';
import { STORE_STATUS } from '../regions.ts';

/** A graph is written when so many vectors, and this share of all, were inserted or removed since … */
const CHANGES_MIN = 1000;
const CHANGES_SHARE = 1 / 10;
/** Of a graph that has changed less, what was kept will do for the next mount: it links the rest in a moment. */
const CHANGES_AT_END = 1 / 50;
/** … and so long after it was written last, milliseconds: a gigabyte for each tenth of one would wear the disk out. */
const PAUSE_MS = 60_000;
/** After a failure. */
const RETRY_MS = 600_000;
/** Vectors that nothing has claimed for so long since the last was, milliseconds, will not be claimed any more. */
const UNCLAIMED_MS = 20_000;
/** Nodes that are looked at in a slice. */
const UNCLAIMED_SLICE = 4096;

/** A graph of a collection as a shard shows it. */
export interface KeptGraph {
  readonly collection: number;
  /** From 0, among the collection's graphs. */
  readonly number: number;
  readonly dimension: number;
  readonly graph: SharedGraph;
  /** Vectors of the collection that are in no graph. */
  readonly waiting: number;
}

interface Writing {
  readonly kept: KeptGraph;
  readonly writer: GraphFileWriter;
}

export class Snapshots {
  readonly #context: Context;
  readonly #disk: Disk;
  readonly #shard: number;
  readonly #status: StoreStatus;
  #writing: Writing | undefined;
  #notBefore = 0;
  /** Of graphs that were restored: how much was found in them, and since when it is so much. */
  readonly #claimed = new Map<SharedGraph, { found: number; since: number }>();

  constructor(context: Context, disk: Disk) {
    this.#context = context;
    this.#disk = disk;
    this.#shard = context.topology.actor(context.name).index;
    this.#status = new StoreStatus(context.arena.region(STORE_STATUS));
  }

  /** Gives `graph`, which is empty, what was kept of the collection. */
  restore(collection: number, dimension: number, graph: GrowingGraph): void {
    for (const kept of listGraphFiles(this.#disk)) {
      const isOurs = kept.shard === this.#shard && kept.collection === collection && !kept.isUnfinished;
      if (isOurs && kept.number < GRAPHS_MAX) this.#restorePart(kept, dimension, graph.part(kept.number));
    }
  }

  #restorePart(name: GraphName, dimension: number, graph: SharedGraph): void {
    const file = GraphFile.open(this.#disk, name);
    if (file === undefined) return;
    const { clock, logger } = this.#context;
    const { collection, number } = name;
    const started = clock.monotonic();
    try {
      const isOfUse =
        file.dimension === dimension && graph.restore(file.description, (part) => file.read(part));
      const milliseconds = Math.round(clock.monotonic() - started);
      if (isOfUse) logger.info({ collection, number, milliseconds }, 'a graph was read');
      else logger.warn({ collection, number }, 'a graph that was kept cannot be used; it is built anew');
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      const damaged = graphFilePath(name);
      logger.warn(
        { damaged, position: error.position },
        'a graph that was kept is damaged; it is built anew',
      );
    } finally {
      file.close();
    }
  }

  /** A slice of what there is to do; true when there is more. */
  step(graphs: readonly KeptGraph[]): boolean {
    const now = this.#context.clock.monotonic();
    if (this.#writing !== undefined) return this.#write(now);
    let isMore = false;
    for (const { graph } of graphs) if (this.#dropUnclaimed(graph, now)) isMore = true;
    if (isMore || now < this.#notBefore) return isMore;
    const due = graphs.find(isDue);
    return due !== undefined && this.#begin(due);
  }

  /** Writes every graph that is not as it was kept, to its end, and deletes files of graphs that are no more. */
  finish(graphs: readonly KeptGraph[], shards: number): void {
    while (this.#writing !== undefined) this.#write(0);
    for (const kept of graphs) {
      if (kept.graph.changes <= kept.graph.size * CHANGES_AT_END || !this.#begin(kept)) continue;
      while (this.#writing !== undefined) this.#write(0);
    }
    if (this.#status.errno !== 0) return;
    const there = graphs
      .filter(({ graph }) => !graph.isEmpty)
      .map((kept) => graphFilePath(this.#nameOf(kept)));
    for (const file of listGraphFiles(this.#disk)) {
      const isOurs = file.shard === this.#shard || (this.#shard === 0 && file.shard >= shards);
      const path = graphFilePath(file);
      if (!isOurs || (there.includes(path) && !file.isUnfinished)) continue;
      this.#disk.unlink(`${path}${file.isUnfinished ? '.tmp' : ''}`);
    }
  }

  #nameOf({ collection, number }: KeptGraph): GraphName {
    return { shard: this.#shard, collection, number };
  }

  #begin(kept: KeptGraph): boolean {
    // Of a store that has failed nothing more is written.
    const parts = this.#status.errno === 0 ? kept.graph.keep() : undefined;
    if (parts === undefined) return false;
    const writer = new GraphFileWriter(this.#disk, this.#nameOf(kept), kept.dimension, parts);
    this.#writing = { kept, writer };
    return true;
  }

  #write(now: number): boolean {
    const { kept, writer } = this.#writing!;
    const status = kept.graph.number === 0 ? this.#abandoned(writer) : writer.step();
    if (status > 0) return true;
    this.#writing = undefined;
    kept.graph.isKept = false;
    this.#notBefore = now + (status === 0 ? PAUSE_MS : RETRY_MS);
    if (status < 0) {
      kept.graph.changes = kept.graph.size;
      this.#context.logger.warn({ errno: -status, collection: kept.collection }, 'a graph could not be kept');
    }
    // Vectors that came meanwhile wait for a graph that is not being written.
    return true;
  }

  /** The collection was dropped meanwhile. */
  #abandoned(writer: GraphFileWriter): number {
    writer.abandon();
    return 0;
  }

  #dropUnclaimed(graph: SharedGraph, now: number): boolean {
    if (!graph.hasUnclaimed) {
      this.#claimed.delete(graph);
      return false;
    }
    const seen = this.#claimed.get(graph);
    if (seen === undefined || seen.found !== graph.found) {
      this.#claimed.set(graph, { found: graph.found, since: now });
      return false;
    }
    return now - seen.since >= UNCLAIMED_MS && graph.dropUnclaimed(UNCLAIMED_SLICE);
  }
}

function isDue({ graph, waiting }: KeptGraph): boolean {
  return (
    (waiting === 0 || !graph.hasRoom) && graph.changes >= Math.max(CHANGES_MIN, graph.size * CHANGES_SHARE)
  );
}
