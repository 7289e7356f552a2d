/**
 * The commands of the debug console, as methods of the control socket: one each, its parameters checked, its result plain
 * JSON. They look at shared memory, set words that actors look at, and call actors (remotes.ts); none of them blocks main,
 * and none waits for an actor without a limit.
 */
import { z } from 'zod';
import { printConfig } from '../../runtime/config/print.ts';
import { LOG_LEVELS } from '../../runtime/log.ts';
import { guess } from '../../runtime/nearest-name.ts';
import { GATE_CLOSED, GATE_OPEN } from '../../runtime/scheduling/actor-state.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { Context } from '../context.ts';
import { kindNames } from '../describe-message.ts';
import { poolStatus } from '../pool-status.ts';
import { presentActors } from '../presence.ts';
import { takeSnapshot } from '../status.ts';
import { type Background, backgroundRows } from './background-row.ts';
import type { CheckpointReport, Checkpoints } from './checkpoints.ts';
import { logTail, writeDump } from './console-dump.ts';
import { Orders } from './console-orders.ts';
import { opcodeRates, round, type Sample, Sampler } from './console-sampler.ts';
import { Tails } from './console-tail.ts';
import { readTraces, recentRequests, traceOf } from './console-trace.ts';
import { type ActorRow, actorRow, locks, mailboxView, rings, shards, steal } from './console-views.ts';
import type { Call, Method } from './control-socket.ts';
import { parse } from './params.ts';
import type { PlacementPlan } from './placement.ts';
import type { Remotes } from './remotes.ts';
import type { SupervisorPort } from './supervisor-port.ts';
import { pause } from './threads.ts';

export interface ConsoleParts {
  readonly remotes: Remotes;
  readonly supervisor: SupervisorPort;
  /** By which its threads were pinned when they began. */
  readonly placement: PlacementPlan;
  /** What `vexfs status` shows. */
  readonly status: () => object;
  readonly checkpoints: Checkpoints;
  /** Threads that are no actors, and have rows among them. */
  readonly background: readonly Background[];
}

const PROGRESS_MS = 250;
/** Requests in a bundle with every step. */
const TRACES_DUMPED = 100;

const one = z.object({ actor: z.string() });
const mailboxParams = one.extend({ count: z.int().min(1).max(1000).default(8) });
const tailParams = one.extend({
  kinds: z.array(z.string()).max(64).default([]),
  count: z.int().min(1).default(Number.MAX_SAFE_INTEGER),
});
const traceParams = z.object({
  request: z
    .string()
    .regex(/^\d{1,20}$/, 'expected the number of a request')
    .optional(),
  switch: z.enum(['on', 'off']).optional(),
  count: z.int().min(1).max(1000).default(20),
});
const logParams = z.object({ level: z.enum(LOG_LEVELS), actor: z.string().optional() });
const stepParams = one.extend({ count: z.int().min(1).max(1_000_000).default(1) });
const killParams = one.extend({ how: z.enum(['crash', 'hang', 'memory', 'end']).default('crash') });
const sampleParams = z.object({ intervalMs: z.int().min(100).max(60_000).default(1000) });

export function consoleMethods(context: Context, parts: ConsoleParts): Record<string, Method> {
  const commands = new Console(context, parts);
  const orders = new Orders(context, parts.remotes, parts.supervisor);
  return {
    names: () => ({ actors: presentActors(context).map(({ name }) => name), kinds: kindNames() }),
    actors: () => commands.actors(),
    inspect: (params) => parts.remotes.inspect(orders.actor(parse(one, params).actor)),
    mailbox(params) {
      const { actor, count } = parse(mailboxParams, params);
      return mailboxView(context, orders.actor(actor), count);
    },
    tail(params, call) {
      const { actor, kinds, count } = parse(tailParams, params);
      return commands.tails.follow(orders.actor(actor), { kinds: kinds.map(knownKind), count }, call);
    },
    trace: (params) => commands.trace(parse(traceParams, params)),
    rings: () => rings(context),
    pool: () => poolStatus(context),
    locks: () => locks(context),
    shards: async () => shards(context, await commands.sampler.recent()),
    steal: () => steal(context),
    placement: () => placementOf(context, parts.placement),
    log(params) {
      const { level, actor } = parse(logParams, params);
      return orders.log(level, actor);
    },
    pause: (params) => orders.gate(parse(one, params).actor, GATE_CLOSED),
    resume: (params) => orders.gate(parse(one, params).actor, GATE_OPEN),
    step(params) {
      const { actor, count } = parse(stepParams, params);
      return orders.step(actor, count);
    },
    restart: (params) => orders.restart(parse(one, params).actor),
    kill(params) {
      const { actor, how } = parse(killParams, params);
      const thread = parts.background.find(({ name }) => name === actor);
      return thread === undefined ? orders.kill(actor, how) : endBackground(thread);
    },
    checkpoint: (_params, call) => checkpoint(parts.checkpoints, call),
    dump: () => commands.dump(),
    sample: (params) => commands.sample(parse(sampleParams, params).intervalMs),
  };
}

/** However it is to die: it has no turn at which it could have another fault. */
function endBackground(thread: Background): { actor: string; killed: string } {
  if (thread.end()) return { actor: thread.name, killed: 'end' };
  throw new UserError(`there is no thread '${thread.name}' now`);
}

/** Whoever asked hears what is being done, so it knows how long to wait. */
async function checkpoint(checkpoints: Checkpoints, { progress, signal }: Call): Promise<CheckpointReport> {
  const timer = setInterval(() => progress({ doing: checkpoints.status.doing }), PROGRESS_MS);
  const end = (): void => clearInterval(timer);
  signal.addEventListener('abort', end);
  try {
    return await checkpoints.request();
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}

class Console {
  readonly sampler: Sampler;
  readonly tails: Tails;
  readonly #context: Context;
  readonly #parts: ConsoleParts;

  constructor(context: Context, parts: ConsoleParts) {
    this.#context = context;
    this.#parts = parts;
    this.sampler = new Sampler(context);
    this.tails = new Tails(context);
  }

  async actors(): Promise<ActorRow[]> {
    return this.#rows(await this.sampler.recent());
  }

  trace(params: z.infer<typeof traceParams>): unknown {
    const { trace } = this.#context;
    if (params.switch !== undefined) trace.isOn = params.switch === 'on';
    if (params.switch !== undefined) return { tracing: trace.isOn ? 'every request' : 'what is handed over' };
    const events = readTraces(this.#context);
    return params.request === undefined
      ? recentRequests(events, params.count)
      : traceOf(events, params.request);
  }

  /** Rates over the next `intervalMs`, for a live view: it asks again and again. */
  async sample(intervalMs: number): Promise<unknown> {
    const before = this.sampler.take();
    await pause(intervalMs);
    const now = this.sampler.take();
    const seconds = (now.at - before.at) / 1000;
    const { namespace, memory, storage, index } = takeSnapshot(this.#context);
    return {
      ...this.#parts.status(),
      intervalMs: Math.round(now.at - before.at),
      actors: this.#rows([before, now]),
      requests: opcodeRates(before, now),
      namespace,
      memory,
      index: { ...index, indexedPerSecond: round((now.indexed - before.indexed) / seconds) },
      storage: {
        ...storage,
        logBytesPerSecond: round((now.logBytes - before.logBytes) / seconds),
        commitsPerSecond: round((now.commits - before.commits) / seconds),
      },
    };
  }

  dump(): Promise<{ path: string; files: string[] }> {
    const context = this.#context;
    const { settings } = context;
    return writeDump(settings.store, {
      'status.json': () => this.#parts.status(),
      'vexfs.toml': () => printConfig(settings.declared, settings.config),
      'actors.json': () => this.actors(),
      'inspect.json': () => this.#inspectAll(),
      'mailboxes.json': () => presentActors(context).map((actor) => mailboxView(context, actor, 64)),
      'rings.json': () => rings(context),
      'locks.json': () => locks(context),
      'placement.json': () => placementOf(context, this.#parts.placement),
      'pool.json': () => poolStatus(context),
      'shards.json': async () => shards(context, await this.sampler.recent()),
      'traces.json': () => dumpedTraces(context),
      'log.jsonl': () =>
        typeof settings.log === 'string' ? logTail(settings.log) : 'the log is the terminal\n',
    });
  }

  #inspectAll(): Promise<Record<string, unknown>[]> {
    return Promise.all(
      presentActors(this.#context).map(async (actor) => {
        const facts = await this.#parts.remotes
          .inspect(actor)
          .catch((error: Error) => ({ error: error.message }));
        return { actor: actor.name, ...facts };
      }),
    );
  }

  #rows(samples: readonly [Sample, Sample]): ActorRow[] {
    const supervised = new Map(this.#parts.supervisor.describe().map((actor) => [actor.name, actor]));
    const rows = presentActors(this.#context).map((actor) => {
      const age = this.sampler.heartbeatAge(actor.name, samples[1]);
      return actorRow(this.#context, actor, samples, age, supervised.get(actor.name));
    });
    return [...rows, ...backgroundRows(this.#parts.background, this.#context.clock.monotonic())];
  }
}

/** The plan has places for those, too, that are not there. */
function placementOf(context: Context, plan: PlacementPlan): PlacementPlan {
  const present = new Set(presentActors(context).map(({ name }) => name));
  return { ...plan, actors: plan.actors.filter(({ actor }) => present.has(actor)) };
}

function dumpedTraces(context: Context): unknown[] {
  const events = readTraces(context);
  return recentRequests(events, TRACES_DUMPED).map((one) => ({
    ...one,
    steps: traceOf(events, one.request),
  }));
}

/** @throws {UserError} no message is of that kind; the nearest is named. */
function knownKind(name: string): string {
  const kinds = kindNames();
  const kind = kinds.find((known) => known === name.toUpperCase());
  if (kind !== undefined) return kind;
  const hint = guess(name.toUpperCase(), kinds);
  throw new UserError(`there is no kind of message "${name}"; ${hint}there are ${kinds.join(', ')}`);
}
