/** What a running mount answers on its control socket. Parameters come from outside, so each is checked. */
import { z } from 'zod';
import { SEARCH_EF_MAX, SEARCH_K_MAX } from '../../runtime/config/bounds.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { Context } from '../context.ts';
import type { IndexStatus, Refusal } from '../indexer-remote.ts';
import { auditMemory } from '../slab-audit.ts';
import { takeSnapshot } from '../status.ts';
import { backgroundStatus } from './background-row.ts';
import { BackupHold } from './backup-hold.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { ColdData } from './cold-data.ts';
import { consoleMethods } from './console.ts';
import { Orders } from './console-orders.ts';
import type { Call, Method } from './control-socket.ts';
import type { ChosenChannel } from './fuse-channel.ts';
import type { Indexer } from './indexer-link.ts';
import { parse } from './params.ts';
import type { PassedThrough } from './passed-through.ts';
import type { PlacementPlan } from './placement.ts';
import type { ReloadReport } from './reload.ts';
import type { Remotes } from './remotes.ts';
import type { SupervisorPort } from './supervisor-port.ts';

/** Longest wait of `index wait` when none is asked for, seconds. */
const WAIT_SECONDS = 24 * 3600;
const PROGRESS_MS = 250;

export interface MountFacts {
  readonly version: string;
  readonly store: string;
  readonly directory: string;
  readonly startedAt: number;
  state(): string;
  reload(): Promise<ReloadReport>;
  readonly checkpoints: Checkpoints;
  readonly cold: ColdData;
  readonly passed: PassedThrough;
  /** Makes everything durable: 0 or an errno. */
  flush(): Promise<number>;
  readonly placement: PlacementPlan;
  channel(): ChosenChannel;
  readonly supervisor: SupervisorPort;
  /** Resolves when the mount has ended, with what went wrong, if anything did. */
  stop(lazy: boolean): Promise<string | undefined>;
}

const k = z.int().min(1).max(SEARCH_K_MAX);
const searchParams = z.object({
  query: z.string(),
  k: k.default(10),
  under: z.string().default('/'),
});
const similarParams = z.object({ path: z.string(), k: k.default(10) });
const vectorParams = z.object({
  collection: z.string(),
  vector: z.array(z.number()),
  k: k.default(10),
  ef: z.int().min(1).max(SEARCH_EF_MAX).optional(),
  patience: z.int().min(0).max(SEARCH_EF_MAX).optional(),
  minScore: z.number().optional(),
});
const listParams = z.object({
  collection: z.string(),
  from: z.int().min(0).default(0),
  under: z.string().default('/'),
});
const waitParams = z.object({
  timeoutSeconds: z.number().positive().max(WAIT_SECONDS).default(WAIT_SECONDS),
});
const rebuildParams = z.object({ path: z.string().default('/') });
const unmountParams = z.object({ lazy: z.boolean().default(false) });

export function controlMethods(
  context: Context,
  facts: MountFacts,
  indexer: Indexer,
  remotes: Remotes,
): Record<string, Method> {
  return {
    ...consoleMethods(context, {
      remotes,
      supervisor: facts.supervisor,
      placement: facts.placement,
      status: () => statusOf(context, facts),
      checkpoints: facts.checkpoints,
      background: [facts.checkpoints, facts.cold],
    }),
    ...new BackupHold({
      context,
      gate: (name, gate) => new Orders(context, remotes, facts.supervisor).gate(name, gate),
      quiet: [facts.cold, facts.passed],
      flush: () => facts.flush(),
    }).methods,
    status: () => statusOf(context, facts),
    /** Worth something only while nothing is under way: see actors/slab-audit.ts. */
    auditMemory: () => auditMemory(context),
    async search(params) {
      const { query, k, under } = parse(searchParams, params);
      const who = credentials();
      return accepted(await indexer.search(query, k, who.uid, who.gids, under));
    },
    async similar(params) {
      const { path, k } = parse(similarParams, params);
      const who = credentials();
      return accepted(await indexer.similar(path, k, who.uid, who.gids));
    },
    async vectorSearch(params) {
      const { collection, vector, k, ...wanted } = parse(vectorParams, params);
      const who = credentials();
      return accepted(
        await indexer.vectorSearch(collection, Float32Array.from(vector), k, who.uid, who.gids, wanted),
      );
    },
    /** A request of .vexfs/query, with the permissions of the store's owner. */
    async query(params, { payload }) {
      const who = credentials();
      return accepted(await indexer.ask(params, payload, who.uid, who.gids));
    },
    async vectorList(params) {
      const { collection, from, under } = parse(listParams, params);
      const who = credentials();
      return accepted(await indexer.vectorList(collection, from, under, who.uid, who.gids));
    },
    indexStatus: () => indexer.status(),
    indexWait: (params, call) => waitForIndex(indexer, parse(waitParams, params).timeoutSeconds, call),
    async indexRebuild(params) {
      return accepted(await indexer.rebuild(parse(rebuildParams, params).path));
    },
    reload: () => facts.reload(),
    async unmount(params) {
      const problem = await facts.stop(parse(unmountParams, params).lazy);
      if (problem !== undefined) throw new UserError(problem);
    },
  };
}

function statusOf(context: Context, facts: MountFacts): object {
  const snapshot = takeSnapshot(context);
  const supervised = new Map(facts.supervisor.describe().map((actor) => [actor.name, actor]));
  const actors = snapshot.actors.map((actor) => {
    const { since, lastError } = supervised.get(actor.name) ?? {};
    return {
      ...actor,
      ...(since === undefined ? {} : { since: new Date(since).toISOString() }),
      ...(lastError === undefined ? {} : { lastError }),
    };
  });
  return {
    version: facts.version,
    store: facts.store,
    directory: facts.directory,
    pid: process.pid,
    uptimeSeconds: Math.round((performance.now() - facts.startedAt) / 100) / 10,
    state: facts.state(),
    ...snapshot,
    channel: facts.channel(),
    checkpoint: facts.checkpoints.status,
    cold: facts.cold.status,
    actors: [...actors, ...backgroundStatus([facts.checkpoints, facts.cold])],
  };
}

async function waitForIndex(
  indexer: Indexer,
  seconds: number,
  { progress, signal }: Call,
): Promise<IndexStatus> {
  let isAsking = false;
  const timer = setInterval(async () => {
    if (isAsking) return;
    isAsking = true;
    try {
      const { pending, indexed } = await indexer.status();
      progress({ pending, indexed });
    } catch {
      // The wait itself says what is wrong; this is only how far it has come.
    }
    isAsking = false;
  }, PROGRESS_MS);
  // The indexer may have been stopped meanwhile, and then never answers.
  const end = (): void => clearInterval(timer);
  signal.addEventListener('abort', end);
  try {
    return await indexer.wait(seconds * 1000);
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}

/** The socket is the owner's: root, who can open it too, asks as the owner. */
function credentials(): { uid: number; gids: number[] } {
  return { uid: process.getuid!(), gids: process.getgroups!() };
}

function accepted<T extends object>(answer: T | Refusal): T {
  if ('refused' in answer) throw new UserError(answer.refused);
  return answer;
}
