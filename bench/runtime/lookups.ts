/** Lookups through a mount with 1, 2 and 4 fuse threads, by one client and by four. */
import { type ChildProcess, fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { LoadReply, LoadRequest } from '../fuse/load.ts';
import { MountedServer } from '../fuse/mounts.ts';
import { CLI } from '../fuse/peers/peer.ts';
import { type Effort, inRounds, type Measurement, type Part } from './measure.ts';

const LOAD = new URL('../fuse/load.js', import.meta.url);
const WORKERS = [1, 2, 4];
const CLIENTS = [1, 4];
const ANSWER_TIMEOUT_MS = 60_000;

function mount(workspace: string, fuseWorkers: number): Promise<MountedServer> {
  const directory = path.join(workspace, `mount-${fuseWorkers}`);
  const store = path.join(workspace, `store-${fuseWorkers}`);
  return MountedServer.start(directory, {
    command: process.execPath,
    args: [CLI, 'mount', '-f', '--set', `workers.fuse=${fuseWorkers}`, store, directory],
    unmount: [process.execPath, CLI, 'umount', directory],
  });
}

function ask(client: ChildProcess, request: LoadRequest): Promise<LoadReply> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ lost: 'no answer in time' }), ANSWER_TIMEOUT_MS);
    client.once('message', (reply) => {
      clearTimeout(timer);
      resolve(reply as LoadReply);
    });
    client.send(request);
  });
}

/** Lookups a second of all clients together. */
async function lookups(clients: readonly ChildProcess[], { milliseconds, quick }: Effort): Promise<number> {
  const request = {
    operation: 'lookup-missing',
    milliseconds,
    warmupMilliseconds: milliseconds / 4,
    shrink: quick ? 25 : 1,
  };
  const replies = await Promise.all(clients.map((client) => ask(client, request)));
  const failed = replies.find(({ rate }) => rate === undefined);
  if (failed) throw new Error(`lookup failed: ${failed.failed ?? failed.skipped ?? failed.lost}`);
  return replies.reduce((sum, { rate }) => sum + rate!, 0);
}

const peerOf = (workers: number): string => `${workers} fuse thread${workers === 1 ? '' : 's'}`;

export async function lookupScaling(effort: Effort): Promise<Part> {
  const workspace = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'vexfs-bench-')));
  const servers: MountedServer[] = [];
  const children: ChildProcess[] = [];
  try {
    const clientsOf = new Map<number, ChildProcess[]>();
    for (const workers of WORKERS) {
      const server = await mount(workspace, workers);
      servers.push(server);
      const cwd = server.directory;
      const clients = Array.from({ length: Math.max(...CLIENTS) }, () =>
        fork(LOAD, { cwd, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }),
      );
      clientsOf.set(workers, clients);
      children.push(...clients);
    }
    const rowOf = (clients: number): string => `lookups, ${clients} client${clients === 1 ? '' : 's'}`;
    const measurements = CLIENTS.flatMap((clients) =>
      WORKERS.map(
        (workers): Measurement => ({
          row: rowOf(clients),
          peer: peerOf(workers),
          run: () => lookups(clientsOf.get(workers)!.slice(0, clients), effort),
        }),
      ),
    );
    const samples = await inRounds('lookups', measurements, effort);
    return {
      name: 'lookups',
      rows: CLIENTS.map((clients) => ({
        name: rowOf(clients),
        unit: '/s',
        subject: peerOf(2),
        peers: WORKERS.map(peerOf),
      })),
      notes: [
        `stat of a name that does not exist, a new one each time; a mount each, all at the same time on ${os.availableParallelism()} CPUs, on which the clients run too.`,
      ],
      samples,
    };
  } finally {
    for (const child of children) child.kill('SIGKILL');
    for (const server of servers) await server.stop();
    fs.rmSync(workspace, { recursive: true, force: true });
  }
}
