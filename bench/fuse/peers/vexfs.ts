import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { uringObstacle } from '../../../fuse/session/uring-support.ts';
import { MountedServer } from '../mounts.ts';
import { fuseDeviceMissing } from './bindfs.ts';
import { CLI, type Peer, PROJECT } from './peer.ts';

/** Why no store can be mounted; undefined when one can. */
export function mountMissing(): string | undefined {
  return fs.existsSync(CLI) ? fuseDeviceMissing() : 'dist/bundle/vexfs.js is not built: npm run build';
}

/** With settings (`key=value`) and environment variables of its own; `how` says so in the report. */
export function vexfsWith(
  settings: readonly string[],
  environment: Readonly<Record<string, string>>,
  how: string,
): Peer {
  return {
    name: 'vexfs',
    missing: async () => mountMissing(),
    async start(workspace) {
      const directory = path.join(workspace, 'mount');
      const set = settings.flatMap((setting) => ['--set', setting]);
      const server = await MountedServer.start(directory, {
        command: process.execPath,
        args: [CLI, 'mount', '-f', ...set, path.join(workspace, 'store'), directory],
        environment,
        unmount: [process.execPath, CLI, 'umount', directory],
      });
      const { version } = JSON.parse(fs.readFileSync(path.join(PROJECT, 'package.json'), 'utf8'));
      return {
        directory,
        description: `${version}, a fresh store with ${how}, on the host filesystem`,
        pid: server.pid,
        get alive() {
          return server.alive;
        },
        stop: () => server.stop(),
        abort: () => server.abort(),
      };
    },
  };
}

export const vexfs = vexfsWith([], {}, 'its defaults');

/** The kernel reads and writes large files by itself; each open and close is a request. */
export const vexfsPassthrough: Peer = {
  ...vexfsWith(['fuse.passthrough=auto'], {}, 'fuse.passthrough = "auto"'),
  name: 'vexfs-passthrough',
  missing: async () => (process.getuid?.() !== 0 ? 'passthrough needs root' : mountMissing()),
};

export const vexfsClassic: Peer = {
  ...vexfsWith(['fuse.channel=classic'], {}, 'fuse.channel = "classic"'),
  name: 'vexfs-classic',
};

/** As docs/CONFIGURATION.md advises: a fuse actor for each CPU. */
const PER_CPU = Math.min(os.availableParallelism(), 16);

export const vexfsUring: Peer = {
  ...vexfsWith(
    ['fuse.channel=uring', `workers.fuse=${PER_CPU}`],
    {},
    `fuse.channel = "uring", workers.fuse = ${PER_CPU}`,
  ),
  name: 'vexfs-uring',
  async missing() {
    const obstacle = uringObstacle();
    return obstacle === undefined
      ? mountMissing()
      : [obstacle.why, obstacle.advice].filter(Boolean).join(': ');
  },
};

/** So many fuse actors. */
export function vexfsWorkers(count: number): Peer {
  return {
    ...vexfsWith([`workers.fuse=${count}`], {}, `workers.fuse = ${count}`),
    name: `vexfs-workers-${count}`,
  };
}
