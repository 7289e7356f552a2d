/**
 * `npm run probe:fuse-native`: could VexFS be served through fuse-native (docs/TRANSPORTS.md)? Runs each probe on the host and through
 * a mount that passes everything on to the host, and prints where the two differ.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { abortAllOnExit, MountedServer } from '../mounts.ts';
import { FOLDER, fuseNativeMissing, libfuse2 } from '../peers/fuse-native.ts';
import { PROBES } from './probes.ts';

const SERVER = new URL('./server.js', import.meta.url).pathname;
const WORKER = new URL('./worker.js', import.meta.url).pathname;
const PROBE_TIMEOUT_MS = 20_000;

/** What one probe sees in a directory of its own; in a process, as it may hang in a call or change its user. */
function seen(probe: string, parent: string): string {
  const directory = path.join(parent, `probe-${PROBES.findIndex(({ name }) => name === probe)}`);
  const { stdout, stderr, signal } = spawnSync(
    process.execPath,
    [process.argv[1]!, '--run', probe, directory],
    {
      encoding: 'utf8',
      timeout: PROBE_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    },
  );
  if (signal !== null) return `no answer within ${PROBE_TIMEOUT_MS / 1000} s`;
  return stdout.trim() || (stderr.trim().split('\n').at(-1) ?? '');
}

/** How a process ends that mounts from a worker thread. */
function inWorker(workspace: string): string {
  const directory = path.join(workspace, 'worker');
  fs.mkdirSync(directory);
  const environment = { ...process.env, ...libfuse2()!.environment };
  const args = [WORKER, SERVER, FOLDER, workspace, directory];
  const ended = spawnSync(process.execPath, args, { env: environment, timeout: PROBE_TIMEOUT_MS });
  spawnSync('umount', ['-l', directory], { stdio: 'ignore' });
  return ended.signal ?? `exit code ${ended.status}`;
}

async function compareAll(): Promise<void> {
  const missing = await fuseNativeMissing();
  if (missing !== undefined) throw new Error(missing);
  abortAllOnExit();
  const workspace = fs.mkdtempSync(path.join(os.tmpdir(), 'vexfs-native-'));
  fs.chmodSync(workspace, 0o755); // some probes are another user
  const [host, base, directory] = ['host', 'base', 'mount'].map((name) => path.join(workspace, name));
  fs.mkdirSync(host!);
  fs.mkdirSync(base!);
  const server = await MountedServer.start(directory!, {
    command: process.execPath,
    args: [SERVER, FOLDER, base!, directory!],
    environment: libfuse2()!.environment,
  });
  try {
    console.log('| | host | through fuse-native | needed because |\n| --- | --- | --- | --- |');
    for (const { name, because } of PROBES) {
      const [there, here] = [seen(name, host!), seen(name, directory!)];
      console.log(`| ${there === here ? '' : '**breaks**: '}${name} | ${there} | ${here} | ${because} |`);
    }
    const ended = inWorker(workspace);
    console.log(
      `| ${ended === 'exit code 0' ? '' : '**breaks**: '}served by a worker thread | | ${ended} | each actor is one |`,
    );
  } finally {
    await server.stop();
    fs.rmSync(workspace, { recursive: true, force: true });
  }
}

const [how, probe, directory] = process.argv.slice(2);
if (how === '--run') {
  fs.mkdirSync(directory!);
  console.log(PROBES.find(({ name }) => name === probe)!.run(directory!));
} else await compareAll();
