/** What a running mount answers on its control socket. Paths are absolute within the filesystem ("/notes/a.md"). */

import type { CollectionStatus } from '../actors/collection-status.ts';
import type { IndexStatus, SearchResult as SearchHit, VectorPiece } from '../actors/indexer-remote.ts';
import type { FrozenStore } from '../actors/main/backup-hold.ts';
import type { CheckpointReport, CheckpointStatus } from '../actors/main/checkpoints.ts';
import type { ColdStatus } from '../actors/main/cold-data.ts';
import type { OpcodeRates } from '../actors/main/console-sampler.ts';
import type { TailBatch } from '../actors/main/console-tail.ts';
import type { TracedRequest, TraceStep } from '../actors/main/console-trace.ts';
import type {
  ActorRow,
  LockView,
  MailboxView,
  RingView,
  ShardRow,
  StealRow,
} from '../actors/main/console-views.ts';
import type { PlacementPlan } from '../actors/main/placement.ts';
import type { ConfigChange, ReloadReport } from '../actors/main/reload.ts';
import type { MovingStatus } from '../actors/moving-status.ts';
import type { PoolStatus } from '../actors/pool-status.ts';
import type { MemoryAudit } from '../actors/slab-audit.ts';
import type { OpcodeStatus } from '../actors/status.ts';

export type {
  ActorRow,
  CheckpointReport,
  CheckpointStatus,
  ColdStatus,
  ConfigChange,
  FrozenStore,
  IndexStatus,
  LockView,
  MailboxView,
  MemoryAudit,
  OpcodeRates,
  PlacementPlan,
  PoolStatus,
  ReloadReport,
  RingView,
  SearchHit,
  ShardRow,
  StealRow,
  TailBatch,
  TracedRequest,
  TraceStep,
  VectorPiece,
};

export type VectorHit = Pick<SearchHit, 'path' | 'score'>;

/** Answer to a request `vectors` (docs/QUERY.md). */
export interface VectorsSet {
  readonly set: number;
  readonly notSet: number;
  readonly errors: readonly { readonly path: string; readonly error: string }[];
}

export type IndexProgress = Pick<IndexStatus, 'pending' | 'indexed'>;

export interface Status {
  readonly version: string;
  readonly store: string;
  readonly directory: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly state: string;
  /** How requests come from the kernel, and half a sentence that says why. */
  readonly channel?: { readonly channel: 'uring' | 'classic'; readonly why: string };
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
  readonly storage?: {
    readonly durableLsn: number;
    /** 0 = the store's disk has room. */
    readonly space?: number;
    readonly freeBytes?: number;
    readonly neededBytes?: number;
    readonly [key: string]: unknown;
  };
  /** Checkpoints made while mounted; nothing for a mount that does not say. */
  readonly checkpoint?: CheckpointStatus;
  /** Compression of cold files; nothing for a mount that does not say. */
  readonly cold?: ColdStatus;
  readonly index: IndexStatus;
  readonly fuse: { readonly requests: number; readonly opcodes: Readonly<Record<string, OpcodeStatus>> };
  readonly collections?: readonly CollectionStatus[];
  /** Only while files move to another number of shards: what is left to look at in this phase. */
  readonly moving?: MovingStatus;
}

export interface GateAnswer {
  readonly actor: string;
  readonly gate: string;
}

/** What a live view shows: the state, and the rates of a moment. */
export interface TopSample extends Omit<Status, 'actors' | 'index' | 'storage'> {
  readonly intervalMs: number;
  readonly actors: readonly ActorRow[];
  readonly requests: readonly OpcodeRates[];
  readonly index: IndexStatus & { readonly indexedPerSecond: number };
  readonly storage: {
    readonly durableLsn: number;
    readonly logBytesPerSecond: number;
    readonly commitsPerSecond: number;
    readonly segmentBytes: number;
    readonly errno: number;
    readonly [key: string]: unknown;
  };
}

/** Method → its parameters and result. */
export interface Methods {
  status: { params: Record<string, never>; result: Status };
  auditMemory: { params: Record<string, never>; result: MemoryAudit };
  search: { params: { query: string; k: number; under?: string }; result: SearchHit[] };
  similar: { params: { path: string; k: number }; result: SearchHit[] };
  vectorSearch: {
    params: {
      collection: string;
      vector: number[];
      k: number;
      ef?: number | undefined;
      patience?: number | undefined;
      minScore?: number | undefined;
    };
    result: VectorHit[];
  };
  query: { params: Record<string, unknown>; result: unknown };
  vectorList: {
    params: { collection: string; from: number; under?: string };
    result: VectorPiece;
  };
  indexStatus: { params: Record<string, never>; result: IndexStatus };
  indexWait: { params: { timeoutSeconds?: number }; result: IndexStatus };
  indexRebuild: { params: { path?: string }; result: { readonly queued?: number } };
  reload: { params: Record<string, never>; result: ReloadReport };
  unmount: { params: { lazy?: boolean }; result: unknown };
  backupBegin: { params: Record<string, never>; result: unknown };
  backupFreeze: { params: Record<string, never>; result: FrozenStore };
  backupThaw: { params: Record<string, never>; result: { readonly whole: boolean } };
  names: { params: Record<string, never>; result: { readonly actors: string[]; readonly kinds: string[] } };
  actors: { params: Record<string, never>; result: ActorRow[] };
  inspect: { params: { actor: string }; result: Record<string, unknown> };
  mailbox: { params: { actor: string; count?: number }; result: MailboxView };
  tail: { params: { actor: string; kinds?: string[]; count?: number }; result: TailBatch };
  trace: {
    params: { request?: string; switch?: 'on' | 'off'; count?: number };
    result: TracedRequest[] | TraceStep[] | { readonly tracing: string };
  };
  rings: { params: Record<string, never>; result: RingView[] };
  pool: { params: Record<string, never>; result: PoolStatus };
  locks: { params: Record<string, never>; result: LockView[] };
  shards: { params: Record<string, never>; result: ShardRow[] };
  steal: { params: Record<string, never>; result: StealRow[] };
  placement: { params: Record<string, never>; result: PlacementPlan };
  log: { params: { level: string; actor?: string }; result: Record<string, unknown>[] };
  pause: { params: { actor: string }; result: GateAnswer };
  resume: { params: { actor: string }; result: GateAnswer };
  step: { params: { actor: string; count?: number }; result: GateAnswer & { readonly taken: number } };
  restart: { params: { actor: string }; result: { readonly actor: string; readonly incarnation: number } };
  kill: {
    params: { actor: string; how?: string };
    result: { readonly actor: string; readonly killed: string };
  };
  checkpoint: { params: Record<string, never>; result: CheckpointReport };
  dump: { params: Record<string, never>; result: { readonly path: string; readonly files: string[] } };
  sample: { params: { intervalMs?: number }; result: TopSample };
}
