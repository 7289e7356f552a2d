/** A mount of the filled store as a user starts it, from the command to the first answers, and what it takes. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ControlClient } from '../../cli/client.ts';
import { CLI } from '../fuse/peers/peer.ts';

/** A search of a million vectors that are being read. */
const SEARCH_MS = 120_000;
const LOOK_MS = 20;

export interface MountTimes {
  /** From the start of the command until the mount can be used, and until a search by vector was answered, or all are there. */
  readonly usableSeconds: number;
  readonly searchedSeconds: number;
  /** Of these, io-0 for checkpoint and log. */
  readonly recoverySeconds: number;
  readonly replayedRecords: number;
  /** CPU of the process that serves, user and system, until the search was answered. */
  readonly cpuSeconds: number;
  /** Most memory that it had until then, MiB. */
  readonly peakMiB: number;
}

export function vexfs(...args: string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`vexfs ${args.join(' ')}: ${stderr}`);
}

export async function timedMount(
  store: string,
  directory: string,
  set: readonly string[],
  vectors: { readonly count: number; readonly dimension: number; readonly isText: boolean },
): Promise<MountTimes> {
  const started = performance.now();
  vexfs('mount', store, directory, ...set.flatMap((pair) => ['--set', pair]));
  const usable = performance.now() - started;
  const client = await ControlClient.connect(store);
  try {
    if (vectors.dimension > 0 && !vectors.isText) await search(client, vectors.dimension);
    while ((await found(client)) < (vectors.dimension > 0 ? vectors.count : 0))
      await new Promise((resume) => setTimeout(resume, LOOK_MS));
    const searched = performance.now() - started;
    const { pid, storage } = await client.call('status', {});
    return {
      usableSeconds: seconds(usable),
      searchedSeconds: seconds(searched),
      recoverySeconds: seconds(Number(storage?.recoveryMs ?? 0)),
      replayedRecords: Number(storage?.replayedRecords ?? 0),
      cpuSeconds: cpuSeconds(pid),
      peakMiB: peakMiB(pid),
    };
  } finally {
    client.close();
  }
}

async function search(client: ControlClient, dimension: number): Promise<void> {
  const vector = Array.from({ length: dimension }, (_, i) => Math.sin(i));
  const params = { collection: 'default', vector, k: 1 };
  const hits = await client.call('vectorSearch', params, { timeoutMs: SEARCH_MS });
  if (hits.length === 0) throw new Error('a search found nothing');
}

/** Vectors that the shards have. */
async function found(client: ControlClient): Promise<number> {
  const { actors } = await client.call('status', {});
  return actors.reduce(
    (sum, { name, vectors }) => sum + (name.startsWith('shard') ? Number(vectors ?? 0) : 0),
    0,
  );
}

/** Kills the process that serves, and takes the dead mount away. */
export async function killMount(store: string, directory: string): Promise<void> {
  const client = await ControlClient.connect(store);
  const { pid } = await client.call('status', {});
  client.close();
  process.kill(pid, 'SIGKILL');
  spawnSync('umount', ['-l', directory]);
}

function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}

/** proc(5): fields 14 and 15 of stat, in hundredths of a second on every architecture that Node runs on. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function peakMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Math.round(Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024);
}
