/** What a running mount answers on its control socket. Paths are absolute within the filesystem ("/notes/a.md"). */

export interface SearchHit {
  readonly path: string;
  /** Higher is better; 1 = the same direction, for cosine collections. */
  readonly score: number;
  /** 1-based line where the best passage starts; 0 where there is no text. */
  readonly line: number;
  readonly snippet: string;
}

export type VectorHit = Pick<SearchHit, 'path' | 'score'>;

export interface IndexStatus {
  /** Files waiting to be indexed. */
  readonly pending: number;
  readonly indexed: number;
  readonly failed: number;
  /** Passages in the index. */
  readonly chunks: number;
}

export interface IndexProgress {
  readonly pending: number;
  readonly indexed: number;
}

export interface OpcodeStatus {
  readonly count: number;
  readonly errors: number;
  readonly p50us: number;
  readonly p99us: number;
  readonly maxus: number;
}

export interface Status {
  readonly version: string;
  readonly store: string;
  readonly directory: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly state: string;
  readonly actors: readonly {
    readonly name: string;
    readonly state: string;
    /** Threads that were started after the first. */
    readonly restarts: number;
    /** Why its last thread failed. */
    readonly lastError?: string;
    readonly [key: string]: unknown;
  }[];
  readonly namespace: {
    readonly files: number;
    readonly directories?: number;
    readonly inodesUsed: number;
    readonly inodesMax: number;
  };
  /** Bytes. `slabHighWater` is what was ever taken; `actors/pool-status.ts` says what the rest means. */
  readonly memory: {
    readonly slabUsed: number;
    readonly slabHighWater: number;
    readonly slabBudget: number;
    readonly hitRate?: number;
    readonly slackBytes?: number;
    readonly scatteredBytes?: number;
    readonly trimmedBytes?: number;
    readonly suspects?: number;
    readonly [key: string]: unknown;
  };
  /** The last change that is on disk, as its number in the log. */
  readonly storage?: { readonly durableLsn: number; readonly [key: string]: unknown };
  readonly index: IndexStatus;
  readonly fuse: { readonly requests: number; readonly opcodes: Readonly<Record<string, OpcodeStatus>> };
}

export interface ConfigChange {
  readonly key: string;
  /** As written in the file. */
  readonly from: string;
  readonly to: string;
}

/** What came of reading the configuration again. */
export interface ReloadReport {
  readonly applied: readonly ConfigChange[];
  readonly needsRemount: readonly ConfigChange[];
}

/** Blocks of the slab memory that are not where they should be; all empty in a mount that is quiet and well. */
export interface MemoryAudit {
  readonly blocks: number;
  readonly lost: readonly StrayBlock[];
  readonly dangling: readonly StrayBlock[];
  readonly doubled: readonly StrayBlock[];
}

export interface StrayBlock {
  readonly handle: number;
  readonly bytes: number;
  readonly tag: string;
  readonly actor: string;
}

/** Method → its parameters and result. */
export interface Methods {
  status: { params: Record<string, never>; result: Status };
  auditMemory: { params: Record<string, never>; result: MemoryAudit };
  search: { params: { query: string; k: number; under?: string; uid?: number }; result: SearchHit[] };
  similar: { params: { path: string; k: number }; result: SearchHit[] };
  vectorSearch: { params: { collection: string; vector: number[]; k: number }; result: VectorHit[] };
  indexStatus: { params: Record<string, never>; result: IndexStatus };
  indexWait: { params: { timeoutSeconds?: number }; result: IndexStatus };
  indexRebuild: { params: { path?: string }; result: { readonly queued?: number } };
  reload: { params: Record<string, never>; result: ReloadReport };
  unmount: { params: { lazy?: boolean }; result: unknown };
}
