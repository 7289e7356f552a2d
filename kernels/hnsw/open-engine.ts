import { assert } from '../../runtime/assert.ts';
import { VECTOR_DIMENSION_MAX } from '../../runtime/config/bounds.ts';
import { ExactIndex } from './exact.ts';
import { HnswlibIndex } from './hnswlib-wasm.ts';
import type { IndexOptions, VectorIndex } from './vector-index.ts';

export const ENGINE_NAMES = ['exact', 'hnswlib-wasm'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

/** An empty index. `m`, `efConstruction` and `seed` mean nothing to `exact`. */
export async function openEngine(name: EngineName, options: IndexOptions): Promise<VectorIndex> {
  assert(options.dimension >= 1 && options.dimension <= VECTOR_DIMENSION_MAX, 'dimension out of range');
  return name === 'exact' ? new ExactIndex(options) : HnswlibIndex.open(options);
}
