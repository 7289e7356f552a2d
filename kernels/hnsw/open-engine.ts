import { assert } from '../../runtime/assert.ts';
import { VECTOR_DIMENSION_MAX } from '../../runtime/config/bounds.ts';
import { ExactIndex } from './exact.ts';
import { HnswlibIndex } from './hnswlib-wasm.ts';
import { NativeIndex } from './native.ts';
import type { IndexOptions, VectorIndex } from './vector-index.ts';

export const ENGINE_NAMES = ['exact', 'hnswlib-wasm', 'native'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

/** Makes an empty index. `m`, `efConstruction` and `seed` mean nothing to `exact`. */
export type OpenEngine = (options: IndexOptions) => VectorIndex;

const LOADERS: Readonly<Record<EngineName, () => OpenEngine | Promise<OpenEngine>>> = {
  exact: () => (options) => new ExactIndex(options),
  'hnswlib-wasm': () => HnswlibIndex.load(),
  native: () => NativeIndex.load(),
};

/** Loads an engine's code once; what it returns works without an event loop. */
export async function loadEngine(name: EngineName): Promise<OpenEngine> {
  const open = await LOADERS[name]();
  return (options) => {
    assert(options.dimension >= 1 && options.dimension <= VECTOR_DIMENSION_MAX, 'dimension out of range');
    return open(options);
  };
}
