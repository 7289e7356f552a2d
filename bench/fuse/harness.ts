/**
 * The measurement: in every round each operation is run by every peer in turn, so that whatever the machine does meanwhile
 * (these drift by a factor of three) falls on all of them. The order rotates by round and operation.
 */
import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { LoadReply, LoadRequest } from './load.ts';
import { mountedDevice } from './mounts.ts';
import type { Operation } from './operations.ts';
import type { Peer, RunningPeer } from './peers/peer.ts';

/**
 * Where client and server run. What a request costs is above all the waking of the other side: about 10 µs on the same CPU, 30
 * to 1,000 µs on another one that has gone to sleep, above all in a virtual machine. Left free, the scheduler picks one or
 * the other for seconds on end.
 */
export type Placement = 'free' | 'together' | 'apart';

export interface Plan {
  readonly peers: readonly Peer[];
  readonly operations: readonly Operation[];
  readonly rounds: number;
  /**
   * How many processes do an operation at the same time, each in a directory of its own. What is not VexFS is there to compare with, at
   * the least and at the most of them.
   */
  readonly clients: readonly number[];
  /** Whose ratios to the others are shown and judged. */
  readonly subject: string;
  readonly quick: boolean;
  readonly placement: Placement;
  /** A directory on the host filesystem, for a directory of the run's own. */
  readonly parent: string;
  readonly say: (text: string) => void;
  /** What there is so far, for a run that is interrupted. */
  readonly afterRound: (outcome: Outcome) => void;
}

export interface Sample {
  readonly round: number;
  readonly operation: string;
  readonly peer: string;
  readonly clients: number;
  /** Operations or bytes a second, of all clients together. */
  readonly rate: number;
  readonly operations: number;
  /** CPU time of the server and of all clients for one operation, microseconds. */
  readonly cpuMicroseconds: number;
}

export interface Outcome {
  readonly samples: Sample[];
  /** Description of each peer that ran. */
  readonly ran: Map<string, string>;
  /** Reason by peer that could not run or did not end well. */
  readonly troubles: Map<string, string>;
  /** Reason by `operation peer` that was not measured. */
  readonly skipped: Map<string, string>;
}

/** Includes making the files in the first round, at the pace of the slowest peer. */
const OPERATION_TIMEOUT_MS = 120_000;
const END_TIMEOUT_MS = 5_000;
const SERVER_CPU = 0;
const CLIENT_CPU = 1;
const LOAD = new URL('./load.js', import.meta.url);

/** A load generator inside a peer's directory. */
class Load {
  readonly #child: ChildProcess;

  constructor(directory: string, placement: Placement) {
    this.#child = fork(LOAD, { cwd: directory, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    if (placement !== 'free') pin(this.#child.pid!, placement === 'together' ? SERVER_CPU : CLIENT_CPU);
  }

  /** Never throws: what went wrong is in the reply. */
  run(request: LoadRequest): Promise<LoadReply> {
    return new Promise((resolve) => {
      const finish = (reply: LoadReply) => {
        clearTimeout(timer);
        this.#child.removeAllListeners();
        resolve(reply);
      };
      const timer = setTimeout(
        () => finish({ lost: `${request.operation} took over ${OPERATION_TIMEOUT_MS / 1000} s` }),
        OPERATION_TIMEOUT_MS,
      );
      this.#child.once('message', (reply) => finish(reply as LoadReply));
      this.#child.once('exit', () => finish({ lost: 'the load generator died' }));
      this.#child.once('error', (error) => finish({ lost: error.message }));
      this.#child.send(request);
    });
  }

  /** Resolves once it is gone or can't be made to go (stuck in a call on a hung mount). */
  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    for (let waited = 0; waited < END_TIMEOUT_MS; waited += 20) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
      await delay(20);
    }
  }
}

/** All threads of a process to one CPU. */
function pin(pid: number, cpu: number): void {
  const { status } = spawnSync('taskset', ['-a', '-p', '-c', String(cpu), String(pid)], { stdio: 'ignore' });
  if (status !== 0) throw new Error(`cannot pin process ${pid} to CPU ${cpu} (taskset, of util-linux)`);
}

function rotate<T>(items: readonly T[], by: number): T[] {
  const from = by % items.length;
  return [...items.slice(from), ...items.slice(0, from)];
}

async function startPeers(
  plan: Plan,
  workspace: string,
  outcome: Outcome,
): Promise<Map<string, RunningPeer>> {
  const running = new Map<string, RunningPeer>();
  for (const peer of plan.peers) {
    const reason = await peer.missing();
    if (reason !== undefined) {
      outcome.troubles.set(peer.name, `missing: ${reason}`);
      continue;
    }
    const home = path.join(workspace, peer.name);
    fs.mkdirSync(home);
    try {
      const started = await peer.start(home);
      running.set(peer.name, started);
      if (plan.placement !== 'free' && started.pid !== undefined) pin(started.pid, SERVER_CPU);
      outcome.ran.set(peer.name, started.description);
    } catch (error) {
      outcome.troubles.set(peer.name, `does not start: ${(error as Error).message}`);
    }
  }
  return running;
}

/** The clients of one peer. */
class Loads {
  readonly #loads: readonly Load[];
  readonly #server: number | undefined;

  constructor({ directory, pid }: RunningPeer, clients: number, placement: Placement) {
    this.#server = pid;
    this.#loads = Array.from({ length: clients }, (_, client) => {
      const own = client === 0 ? directory : path.join(directory, `client-${client}`);
      fs.mkdirSync(own, { recursive: true });
      return new Load(own, placement);
    });
  }

  /** All of them at the same time: the sum, or the first that went wrong. */
  async run(request: LoadRequest, clients: number): Promise<LoadReply & { cpuMicroseconds?: number }> {
    const asked = { ...request, server: this.#server };
    const replies = await Promise.all(this.#loads.slice(0, clients).map((load) => load.run(asked)));
    const wrong = replies.find(({ rate }) => rate === undefined);
    if (wrong !== undefined) return wrong;
    const sum = (of: (reply: LoadReply) => number | undefined) =>
      replies.reduce((total, reply) => total + of(reply)!, 0);
    const rate = sum((reply) => reply.rate);
    // each client has seen the whole server
    const cpu = sum(({ clientCpu }) => clientCpu) + sum(({ serverCpu }) => serverCpu) / clients;
    return { rate, operations: sum(({ operations }) => operations), cpuMicroseconds: (cpu * 1e6) / rate };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#loads.map((load) => load.stop()));
  }
}

function isMeasured({ clients: all }: Plan, peer: string, clients: number): boolean {
  return peer.startsWith('vexfs') || clients === Math.min(...all) || clients === Math.max(...all);
}

async function runRound(plan: Plan, round: number, running: Map<string, RunningPeer>, outcome: Outcome) {
  const most = Math.max(...plan.clients);
  const loads = new Map([...running].map(([name, peer]) => [name, new Loads(peer, most, plan.placement)]));
  try {
    const points = plan.operations.flatMap((operation) =>
      plan.clients.map((clients) => ({ operation, clients })),
    );
    for (const [index, { operation, clients }] of points.entries()) {
      for (const [name, load] of rotate([...loads], round + index)) {
        if (!isMeasured(plan, name, clients)) continue;
        const asked = {
          operation: operation.name,
          milliseconds: plan.quick ? 10 : 400,
          warmupMilliseconds: plan.quick ? 2 : 100,
          shrink: plan.quick ? 25 : 1,
        };
        const reply = await load.run(asked, clients);
        if (reply.rate !== undefined) {
          const { rate, operations, cpuMicroseconds } = reply;
          outcome.samples.push({
            round,
            operation: operation.name,
            clients,
            peer: name,
            rate,
            operations: operations!,
            cpuMicroseconds: cpuMicroseconds!,
          });
        } else if (reply.lost === undefined) {
          outcome.skipped.set(`${operation.name} ${name}`, reply.skipped ?? `failed: ${reply.failed}`);
        } else {
          // a hung or dead peer is out, and the table says so
          outcome.troubles.set(name, `${operation.name}, round ${round + 1}: ${reply.lost}`);
          running.get(name)!.abort();
          running.delete(name);
          await load.stop();
          loads.delete(name);
        }
      }
    }
  } finally {
    await Promise.all([...loads.values()].map((load) => load.stop()));
  }
}

export async function compare(plan: Plan): Promise<Outcome> {
  const outcome: Outcome = { samples: [], ran: new Map(), troubles: new Map(), skipped: new Map() };
  const workspace = fs.mkdtempSync(path.join(plan.parent, 'vexfs-bench-'));
  process.on('exit', () => removeWorkspace(workspace, plan.peers));
  const running = await startPeers(plan, workspace, outcome);
  try {
    for (let round = 0; round < plan.rounds && running.size > 0; round++) {
      const begin = performance.now();
      await runRound(plan, round, running, outcome);
      plan.afterRound(outcome);
      plan.say(`round ${round + 1} of ${plan.rounds}: ${((performance.now() - begin) / 1000).toFixed(0)} s`);
    }
  } finally {
    for (const [name, peer] of running) {
      const wrong = await peer.stop();
      if (wrong !== undefined) outcome.troubles.set(name, `does not unmount in order: ${wrong}`);
    }
  }
  return outcome;
}

/** Removes the run's files, unless something is still mounted there: what is inside a mount is not ours to delete. */
function removeWorkspace(workspace: string, peers: readonly Peer[]): void {
  const left = peers.filter((peer) => mountedDevice(path.join(workspace, peer.name, 'mount')) !== undefined);
  if (left.length === 0) fs.rmSync(workspace, { recursive: true, force: true });
  else console.error(`still mounted below ${workspace}: ${left.map((peer) => peer.name).join(', ')}`);
}
