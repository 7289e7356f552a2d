/**
 * Loads npm's `hnswlib-wasm` outside a browser. Its own loader fails there, because it insists on a file
 * system in IndexedDB; the compiled module behind it needs nothing but a `window` while it starts.
 */

/** The part of the module's HierarchicalNSW class that is used here. Wrong arguments throw a WebAssembly.Exception. */
export interface HierarchicalNsw {
  initIndex(maxElements: number, m: number, efConstruction: number, seed: number): void;
  resizeIndex(maxElements: number): void;
  addPoint(vector: Float32Array, label: number, replaceDeleted: boolean): void;
  markDelete(label: number): void;
  getPoint(label: number): ArrayLike<number>;
  setEfSearch(ef: number): void;
  searchKnn(query: Float32Array, k: number, filter: undefined): { distances: number[]; neighbors: number[] };
  /** Frees the index's WASM memory (embind). */
  delete(): void;
}

export interface HnswlibModule {
  readonly HierarchicalNSW: new (space: 'l2' | 'ip', dimension: number, file: string) => HierarchicalNsw;
}

/** File names of the package carry a hash, so this one belongs to version 0.8.2 exactly. */
const COMPILED_MODULE: string = 'hnswlib-wasm/dist/hnswlib-317962d7.js';

let loading: Promise<HnswlibModule> | undefined;

/** The module, instantiated once per thread. */
export function loadHnswlib(): Promise<HnswlibModule> {
  loading ??= instantiate();
  return loading;
}

async function instantiate(): Promise<HnswlibModule> {
  const scope = globalThis as { window?: unknown };
  const standIn = scope.window === undefined;
  if (standIn) scope.window = globalThis;
  try {
    const { default: factory } = (await import(COMPILED_MODULE)) as { default: () => Promise<HnswlibModule> };
    return await factory();
  } finally {
    if (standIn) delete scope.window;
  }
}
