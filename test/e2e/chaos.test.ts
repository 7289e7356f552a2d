/**
 * Programs use the mount while its actors are ended, crashed, hung, restarted, added and retired at random, every second, and
 * files move between changing numbers of shards. The mount must not go away, no call may hang, nothing that was synced may be
 * lost, and what is read must be right. VEXFS_CHAOS_SECONDS: how long (20 by default); VEXFS_CHAOS_SEED: which sequence;
 * VEXFS_CHAOS_EVERY_MS: how often an actor is harmed (1000); VEXFS_CHAOS_ACTORS: which (fuse-0,fuse-1); there are one to four
 * fuse actors and one to three shards at a time.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlClient } from '../../cli/client.ts';
import type { MemoryAudit } from '../../cli/protocol.ts';
import { UserError } from '../../runtime/user-error.ts';
import { type Daemon, Place } from '../actors/daemon.ts';
import type { ClientKind, ClientReport } from './chaos-calls.ts';
import { NO_FUSE, titled } from './mounted.ts';

const SECONDS = Number(process.env.VEXFS_CHAOS_SECONDS ?? 20);
const EVERY_MS = Number(process.env.VEXFS_CHAOS_EVERY_MS ?? 1000);
const SEED = Number(process.env.VEXFS_CHAOS_SEED ?? 1);
const CLIENT = new URL('./chaos-client.js', import.meta.url).pathname;

const KINDS: readonly ClientKind[] = ['data', 'names', 'vectors', 'bulk'];
const ALL = 'shard-0,shard-1,shard-2,io-0,io-1,pool,stats,indexer,fuse-0,fuse-1,fuse-2,fuse-3';
const ACTORS = (process.env.VEXFS_CHAOS_ACTORS ?? ALL).split(',');
const MOST = { fuse: 4, shards: 3 };
const DEADLINE_S = 15;
const CONFIG = [
  `workers.fuse_max=${MOST.fuse}`,
  `workers.shards_max=${MOST.shards}`,
  'workers.io=2',
  'workers.tasks=1',
  'store.compress=cold',
  'store.compress_after_s=1',
  'supervision.hang_ms=2000',
  'supervision.heartbeat_ms=50',
  'supervision.heap_mib=64',
  'supervision.restarts=1000',
  'supervision.window_s=1',
  `supervision.request_deadline_s=${DEADLINE_S}`,
];
/** The deadline, and what a thread takes to be found hanging, ended and succeeded on a busy machine. */
const LONGEST_MS = (DEADLINE_S + 15) * 1000;

const LOG_LINES = 100;

/** Of the `i`th client. */
function seedOf(i: number): number {
  return SEED * 10 + i;
}

class Client {
  readonly kind: ClientKind;
  last: ClientReport | undefined;
  /** Since the last order. */
  readonly #marks = new Set<string>();
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #heardAt = performance.now();

  constructor(kind: ClientKind, place: Place, seed: number) {
    this.kind = kind;
    const directory = join(place.directory, kind);
    this.#child = fork(CLIENT, [kind, directory, place.store, String(seed)]);
    this.#exited = new Promise((resolve) => this.#child.on('exit', resolve));
    this.#child.on('message', (report: ClientReport) => {
      this.last = report;
      for (const mark of ['ready', 'verified'] as const) if (report[mark]) this.#marks.add(mark);
      this.#heardAt = performance.now();
    });
  }

  get silentMs(): number {
    return performance.now() - this.#heardAt;
  }

  async until(mark: 'ready' | 'verified'): Promise<void> {
    const deadline = performance.now() + 2 * LONGEST_MS;
    while (!this.#marks.has(mark)) {
      if (performance.now() > deadline)
        throw new Error(`${this.kind} hangs after ${JSON.stringify(this.last)}`);
      await pause(10);
    }
  }

  tell(order: 'end' | 'verify'): void {
    this.#marks.clear();
    this.#child.send(order);
  }

  async dispose(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}

const pause = (ms: number): Promise<void> => new Promise((resume) => setTimeout(resume, ms));

const readLog = (place: Place): string => readFileSync(join(place.store, 'vexfs.log'), 'utf8');

/** The last lines of the mount's log: why. */
function logTail(place: Place): string {
  return readLog(place).split('\n').slice(-LOG_LINES).join('\n');
}

function summary(place: Place): string {
  const count = (text: string): number => readLog(place).split(text).length - 1;
  const [added, retired] = [count('a fuse actor was added'), count('a fuse actor was retired')];
  const shards = `${count('a shard was added')} shards added, ${count('a shard was retired')} retired`;
  return `${count('an actor was started again')} restarts, ${added} added, ${retired} retired, ${shards}, tables made anew ${count('the tables were made anew')} times`;
}

/** What of the slab memory is not where it should be, once nobody is at work. */
async function auditMemory(place: Place): Promise<MemoryAudit> {
  const client = await ControlClient.connect(place.store);
  try {
    return await client.call('auditMemory', {});
  } finally {
    client.close();
  }
}

/** Writes how many there are to be into the mount's configuration and has it read again: false if that is refused, or fails. */
async function resize(place: Place, { fuse, shards }: typeof MOST): Promise<boolean> {
  writeFileSync(join(place.store, 'vexfs.toml'), `[workers]\nfuse = ${fuse}\nshards = ${shards}\n`);
  const client = await ControlClient.connect(place.store);
  try {
    const { failed } = await client.call('reload', {}, { timeoutMs: LONGEST_MS });
    return failed === undefined;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return false;
  } finally {
    client.close();
  }
}

function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

async function harm(place: Place, daemon: Daemon, random: (below: number) => number): Promise<string> {
  const actor = ACTORS[random(ACTORS.length)]!;
  const how = random(26);
  if (how >= 20) {
    const wanted = { fuse: 1 + random(MOST.fuse), shards: 1 + random(MOST.shards) };
    const isDone = await resize(place, wanted);
    return `${JSON.stringify(wanted)} ${isDone ? '' : 'refused'}`;
  }
  if (how < 7) daemon.terminate(actor);
  else if (how < 13) daemon.drill(actor, 'crash');
  else if (how < 16) daemon.drill(actor, 'hang');
  else if (how < 17) daemon.drill(actor, 'memory');
  else if (how < 18) await daemon.rebuild();
  else await daemon.restart(actor);
  return `${actor} ${how}`;
}

describe.skipIf(NO_FUSE)(titled('chaos', NO_FUSE), () => {
  let place: Place;
  let daemon: Daemon;
  let clients: Client[] = [];
  beforeAll(async () => {
    place = new Place();
    daemon = await place.mount(CONFIG);
  });
  afterAll(async () => {
    await daemon.kill();
    for (const client of clients) await client.dispose();
    place.dispose();
  });

  test(
    `${SECONDS} s: the mount stays, no call hangs, and every answer is right; what was synced outlives a kill`,
    async ({ onTestFailed }) => {
      console.log(`VEXFS_CHAOS_SEED=${SEED}; ${KINDS.map((kind, i) => `${kind} ${seedOf(i)}`).join(', ')}`);
      onTestFailed(() => console.log(logTail(place)));
      const random = randomOf(SEED);
      const harmed: string[] = [];
      clients = KINDS.map((kind, i) => new Client(kind, place, seedOf(i)));
      for (const client of clients) await client.until('ready');
      const end = performance.now() + SECONDS * 1000;
      while (performance.now() < end) {
        await pause(EVERY_MS);
        harmed.push(await harm(place, daemon, random));
        for (const { kind, silentMs } of clients) {
          expect(silentMs, `${kind} is silent after ${harmed.slice(-10).join(', ')}`).toBeLessThan(
            LONGEST_MS,
          );
        }
      }
      await daemon.restarted('fuse-0', 0);
      expect(await resize(place, MOST), 'all there can be at the end').toBe(true);
      for (const name of ACTORS) await daemon.restarted(name, 0);
      for (const client of clients) client.tell('end');
      for (const client of clients) await client.until('ready');
      expect(daemon.notices).toEqual([]);
      expect(place.isMounted).toBe(true);
      const { lost, dangling, doubled } = await auditMemory(place);
      expect({ dangling, doubled }).toEqual({ dangling: [], doubled: [] });
      // A thread that ends between its cache and its user takes that one block with it, until the next mount.
      expect(lost.length, JSON.stringify(lost)).toBeLessThanOrEqual(harmed.length);
      console.log(`${summary(place)}, blocks lost ${lost.length}`);
      for (const { kind, last } of clients) {
        console.log(kind, JSON.stringify({ ...last, problems: last?.problems.length }));
        expect(last!.problems, `after ${harmed.join(', ')}`).toEqual([]);
        expect(last!.longestMs, `${kind}: ${last!.longest}`).toBeLessThan(LONGEST_MS);
        expect(last!.calls).toBeGreaterThan(SECONDS);
      }

      await daemon.kill();
      daemon = await place.mount(CONFIG);
      for (const client of clients) client.tell('verify');
      for (const client of clients) await client.until('verified');
      for (const { last } of clients) expect(last!.problems).toEqual([]);
      expect(await daemon.stop()).toEqual({ stopped: true });
      expect(await daemon.end()).toBe(0);
    },
    SECONDS * 1000 + 240_000,
  );
});
