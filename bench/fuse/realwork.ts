/**
 * Whole programs on a mount: `node dist/bench/fuse/realwork.js [--rounds 3] [--peers host,vexfs,bindfs] [--repository DIR]`.
 * Seconds for git clone of a local repository, tar x of its files, reading them all (as rg does), and rm -rf. Interleaved
 * as the operations are.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { abortAllOnExit, mountedDevice, run } from './mounts.ts';
import { bindfs } from './peers/bindfs.ts';
import { host } from './peers/host.ts';
import { PROJECT, type RunningPeer } from './peers/peer.ts';
import { vexfs } from './peers/vexfs.ts';
import { median } from './report.ts';

const PEERS = [host, vexfs, bindfs];
const TASK_TIMEOUT_MS = 300_000;
const PREPARE_TIMEOUT_MS = 120_000;

interface Task {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

function tasks(repository: string, archive: string): Task[] {
  return [
    { name: 'git clone', command: 'git', args: ['clone', '-q', '--no-hardlinks', repository, 'clone'] },
    { name: 'git status', command: 'git', args: ['-C', 'clone', 'status', '--porcelain'] },
    { name: 'tar x', command: 'tar', args: ['xf', archive] },
    { name: 'read all', command: 'grep', args: ['-r', '-c', '-m1', '-e', '.', '--no-messages', 'tree'] },
    { name: 'rm -rf', command: 'rm', args: ['-rf', 'tree', 'clone'] },
  ];
}

/** A repository of at least 5,000 files, made of two copies of the installed packages. */
async function makeRepository(workspace: string): Promise<string> {
  const repository = path.join(workspace, 'repository');
  const modules = fs.realpathSync(path.join(PROJECT, 'node_modules'));
  const script = `git init -q '${repository}' && cd '${repository}' && mkdir one two &&
    for copy in one two; do tar -C '${modules}' -cf - . | tar -C $copy -xf -; done &&
    find one two -type f -size +256k -delete &&
    git add -A -f && git -c user.name=bench -c user.email=bench@localhost commit -qm all`;
  const failed = await run('sh', ['-c', script], PREPARE_TIMEOUT_MS);
  if (failed) throw new Error(`no repository: ${failed}`);
  return repository;
}

async function time(task: Task, peer: RunningPeer): Promise<number | string> {
  const begin = performance.now();
  const failed = await run(task.command, task.args, TASK_TIMEOUT_MS, { cwd: peer.directory });
  return failed ?? (performance.now() - begin) / 1000;
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    peers: { type: 'string', default: 'host,vexfs,bindfs' },
    dir: { type: 'string', default: os.tmpdir() },
    repository: { type: 'string' },
    json: { type: 'string' },
  },
});
abortAllOnExit();
const workspace = fs.mkdtempSync(path.join(fs.realpathSync(values.dir), 'vexfs-realwork-'));
const running = new Map<string, RunningPeer>();
process.on('exit', () => {
  const mounted = PEERS.some(({ name }) => mountedDevice(path.join(workspace, name, 'mount')) !== undefined);
  if (!mounted) fs.rmSync(workspace, { recursive: true, force: true });
});
const repository = values.repository ?? (await makeRepository(workspace));
const archive = path.join(workspace, 'tree.tar');
const packed = spawnSync('git', ['-C', repository, 'archive', '--prefix=tree/', '-o', archive, 'HEAD']);
if (packed.status !== 0) throw new Error(`git archive failed: ${packed.stderr}`);
const files = spawnSync('git', ['-C', repository, 'ls-files'], { encoding: 'utf8', maxBuffer: 1 << 28 });

const work = tasks(repository, archive);
const seconds = new Map<string, number[]>();
const troubles: string[] = [];
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
for (let round = 0; round < Number(values.rounds); round++) {
  for (const task of work) {
    for (const [name, peer] of running) {
      const took = await time(task, peer);
      if (typeof took === 'string') {
        troubles.push(`${name}: ${task.name}, round ${round + 1}: ${took}`);
        peer.abort();
        running.delete(name);
        continue;
      }
      const key = `${task.name} ${name}`;
      seconds.set(key, [...(seconds.get(key) ?? []), took]);
    }
  }
}
const measured = [...running.keys()];
for (const [name, peer] of running) {
  const wrong = await peer.stop();
  if (wrong !== undefined) troubles.push(`${name}: does not unmount in order: ${wrong}`);
}
const rows = work.map(({ name }) => ({
  task: name,
  seconds: Object.fromEntries(
    measured.map((peer) => [peer, median(seconds.get(`${name} ${peer}`) ?? [Number.NaN])]),
  ),
}));
if (values.json) fs.writeFileSync(values.json, `${JSON.stringify({ rows, troubles }, null, 2)}\n`);
console.log(`${files.stdout.split('\n').length - 1} files, median of ${values.rounds} rounds, seconds\n`);
console.log(`| task | ${measured.join(' | ')} |\n| --- |${measured.map(() => ' ---: |').join('')}`);
for (const row of rows)
  console.log(`| ${row.task} | ${measured.map((peer) => row.seconds[peer]!.toFixed(2)).join(' | ')} |`);
for (const trouble of troubles) console.log(`- ${trouble}`);
process.exit(troubles.some((trouble) => !trouble.includes(': missing: ')) ? 1 : 0);
