import { capacityOf } from '../../kernels/hnsw/graph-memory.ts';
import { canRunGraphs, graphModule } from '../../kernels/hnsw/graph-module.ts';
import { GrowingGraph } from '../../kernels/hnsw/growing-graph.ts';
import { loadEngine } from '../../kernels/hnsw/open-engine.ts';
import { SharedGraph } from '../../kernels/hnsw/shared-graph.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { adviseHugePages } from '../../runtime/system/pages.ts';
import type { Context } from '../context.ts';
import type { Graphs } from './graphs.ts';
import type { OpenGraph } from './shard.ts';
import { Snapshots } from './snapshots.ts';
import { VectorFiles } from './vector-files.ts';

/** Reading a kept graph may take this long, milliseconds: gigabytes from a slow disk. */
const READ_PATIENCE_MS = 600_000;

/** What makes the graphs of a shard's collections, by the configuration; undefined = every search is exact. */
export async function graphMaker(context: Context, graphs: Graphs): Promise<OpenGraph | undefined> {
  const { engine, rerank, graph_memory } = context.settings.config.vectors;
  if (engine === 'exact') return undefined;
  if (engine !== 'native') return await loadEngine(engine);
  if (!canRunGraphs()) {
    context.logger.warn('the processor has no SIMD for "native" graphs: the engine is "hnswlib-wasm"');
    return await loadEngine('hnswlib-wasm');
  }
  graphModule('i8');
  const disk = new HostDisk(context.settings.store);
  const snapshots = new Snapshots(context, disk);
  const { index } = context.topology.actor(context.name);
  const room = rerank === 'memory' ? undefined : new VectorFiles(disk, index, context.logger);
  return (wanted, collection) => {
    const element = wanted.element === 'float32' ? 'f32' : 'i8';
    const capacity = capacityOf(wanted, element, graph_memory);
    const options = { ...wanted, onRows: adviseHugePages };
    const more = { element, capacity, room, isReranked: graphs.isReranked } as const;
    const graph = new GrowingGraph(() => new SharedGraph(options, graphs, more));
    const { patience } = context.state;
    context.state.patience = READ_PATIENCE_MS;
    snapshots.restore(collection, options.dimension, graph);
    context.state.patience = patience;
    return graph;
  };
}
