/** Entry of every worker thread: attach to shared memory, build the actor, run its loop until it is told to stop. */
import { threadId as nodeThreadId, workerData } from 'node:worker_threads';
import { FAILED, STARTING } from '../runtime/scheduling/actor-state.ts';
import { whileWaiting } from '../runtime/sync/waiting.ts';
import { nameThread, pinThread, threadId } from '../runtime/system/libc.ts';
import { awaitConnection } from './connection.ts';
import { attachContext, type Context, type StartedThread } from './context.ts';
import { isLoaded } from './loading.ts';
import type { ActorKind } from './topology.ts';

type Run = (context: Context) => void | Promise<void>;

const ACTORS: Record<Exclude<ActorKind, 'main'>, () => Promise<{ run: Run }>> = {
  io: () => import('./io/actor.ts'),
  shard: () => import('./shard/actor.ts'),
  pool: () => import('./pool/actor.ts'),
  stats: () => import('./stats/actor.ts'),
  indexer: () => import('./indexer/actor.ts'),
  fuse: () => import('./fuse/actor.ts'),
};

/** At a mount they are started before the tables are there. */
const ON_TABLES: ReadonlySet<ActorKind> = new Set(['pool', 'indexer', 'fuse']);

const started = workerData as StartedThread;
const context = attachContext(started);
const { kind } = context.topology.actor(context.name);
if (kind === 'main') throw new Error('the main actor has no thread of its own');
nameThread(context.name);
context.state.thread = threadId();
context.state.nodeThread = nodeThreadId;
context.state.set(STARTING);
whileWaiting(() => context.state.beat());
const { cpus } = context.settings;
const pinned = cpus.length > 0 ? pinThread(cpus) : 0;
if (pinned < 0) context.logger.warn({ cpus, errno: -pinned }, 'the thread could not be kept on its CPUs');
try {
  const { run } = await ACTORS[kind]();
  if (started.loading !== undefined) isLoaded(started.loading);
  if (ON_TABLES.has(kind)) awaitConnection(context.arena);
  await run(context);
} catch (error) {
  context.logger.fatal({ err: error }, 'the actor ended with an error');
  context.state.set(FAILED);
  throw error;
}
