/**
 * `npm run bench:work`: whole programs (git, tar, rg, npm, tsc, rm) on a mount, timed beside the host's filesystem, bindfs and
 * gocryptfs. In every round each task is run by every peer in turn, in an order that rotates; the ratios are medians of those
 * within a round, because machines drift.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { abortAllOnExit, mountedDevice, run } from '../fuse/mounts.ts';
import { bindfs } from '../fuse/peers/bindfs.ts';
import { gocryptfs } from '../fuse/peers/gocryptfs.ts';
import { host } from '../fuse/peers/host.ts';
import type { RunningPeer } from '../fuse/peers/peer.ts';
import { vexfs, vexfsUring } from '../fuse/peers/vexfs.ts';
import { type Sample, summary, type Taken } from './report.ts';
import { makeRepository } from './repository.ts';
import { countRequests } from './requests.ts';
import { makeTasks, type Task } from './tasks.ts';

const USUAL = [host, vexfs, bindfs, gocryptfs];
const PEERS = [...USUAL, vexfsUring];

const USAGE = `npm run bench:work -- [--rounds N] [--peers NAME,…] [--tasks NAME,…] [--requests] [--json FILE]

  --rounds N     default 3
  --peers NAMES  default ${USUAL.map(({ name }) => name).join(',')}; also vexfs-uring
  --tasks NAMES  "git clone", "git status", "tar x", rg, "cp -r", "npm ci", tsc, "rm -rf" (default: all; each needs what is before it)
  --requests     in place of times: what each task sends to VexFS, and what it would without each negotiated flag
  --dir DIR      where everything happens (default ${os.tmpdir()})
`;
const TASK_TIMEOUT_MS = 600_000;
/** proc(5): where in /proc/PID/stat the times of user and system are, of a process and of its ended children. */
const UTIME = 14;
const CHILDREN_UTIME = 16;
/** USER_HZ, on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    peers: { type: 'string', default: USUAL.map(({ name }) => name).join(',') },
    tasks: { type: 'string' },
    requests: { type: 'boolean', default: false },
    dir: { type: 'string', default: os.tmpdir() },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
abortAllOnExit();
const workspace = fs.mkdtempSync(path.join(fs.realpathSync(values.dir), 'vexfs-work-'));
process.on('exit', () => {
  const isMounted = PEERS.some(
    ({ name }) => mountedDevice(path.join(workspace, name, 'mount')) !== undefined,
  );
  if (!isMounted) fs.rmSync(workspace, { recursive: true, force: true });
});

const repository = path.join(workspace, 'repository.git');
const archive = path.join(workspace, 'tree.tar');
const files = makeRepository(repository, archive);
const wanted = values.tasks?.split(',');
const { tasks, notes } = makeTasks(repository, archive, path.join(workspace, 'npm-cache-check'), wanted);
console.error(`a repository of ${files} files; ${notes.join('; ')}`);

/** Seconds of the clock, and of the processor in client and server; or what went wrong. */
async function time(task: Task, { directory, pid }: RunningPeer): Promise<Taken | string> {
  task.prepare?.(directory);
  const cpu = cpuSeconds(pid);
  const begin = performance.now();
  const failed = await run(task.command, task.args, TASK_TIMEOUT_MS, {
    cwd: path.join(directory, task.cwd ?? '.'),
  });
  return failed ?? { seconds: (performance.now() - begin) / 1000, cpu: cpuSeconds(pid) - cpu };
}

/** Of this process's ended children, which the programs are, and of the server. */
function cpuSeconds(server: number | undefined): number {
  const ticks = (pid: number | string, from: number): number => {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    // the fields after "pid (name)": proc(5) counts them from 3
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[from - 3]) + Number(fields[from - 2]);
  };
  return (
    (ticks('self', CHILDREN_UTIME) + (server === undefined ? 0 : ticks(server, UTIME))) / TICKS_PER_SECOND
  );
}

const troubles: string[] = [];

async function startPeers(): Promise<Map<string, RunningPeer>> {
  const running = new Map<string, RunningPeer>();
  for (const name of values.peers.split(',')) {
    const peer = PEERS.find((one) => one.name === name);
    const reason = peer ? await peer.missing() : 'no such peer';
    if (!peer || reason !== undefined) {
      troubles.push(`${name}: missing: ${reason}`);
      continue;
    }
    fs.mkdirSync(path.join(workspace, name));
    running.set(name, await peer.start(path.join(workspace, name)));
  }
  return running;
}

async function measure(running: Map<string, RunningPeer>): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [index, task] of tasks.entries()) {
      const order = [...running];
      order.push(...order.splice(0, (round + index) % order.length));
      for (const [name, peer] of order) {
        const took = await time(task, peer);
        if (typeof took !== 'string') samples.push({ round, task: task.name, peer: name, ...took });
        else {
          troubles.push(`${name}: ${task.name}, round ${round + 1}: ${took}`);
          peer.abort();
          running.delete(name);
        }
      }
      const latest = samples.filter((one) => one.round === round && one.task === task.name);
      console.error(
        `round ${round + 1}, ${task.name}: ${latest.map((one) => `${one.peer} ${one.seconds.toFixed(2)} s`).join(', ')}`,
      );
    }
  }
  return samples;
}

if (values.requests) await countRequests(workspace, tasks);
else {
  const running = await startPeers();
  const descriptions = [...running].map(([name, peer]) => `${name}: ${peer.description}`);
  const samples = await measure(running);
  for (const [name, peer] of running) {
    const wrong = await peer.stop();
    if (wrong !== undefined) troubles.push(`${name}: does not unmount in order: ${wrong}`);
  }
  const { rows, text } = summary(tasks, [...running.keys()], samples);
  const load = os.loadavg()[0]!.toFixed(1);
  console.log(
    `Linux ${os.release()}, Node ${process.version}, ${os.cpus().length} CPUs, load average ${load} at the end, ${values.rounds} rounds, ${files} files\n`,
  );
  console.log(text);
  for (const line of [...descriptions, ...notes, ...troubles]) console.log(`- ${line}`);
  if (values.json) fs.writeFileSync(values.json, `${JSON.stringify({ rows, samples, troubles }, null, 2)}\n`);
}
process.exit(troubles.some((trouble) => !trouble.includes(': missing: ')) ? 1 : 0);
