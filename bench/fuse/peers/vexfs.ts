import fs from 'node:fs';
import path from 'node:path';
import { uringObstacle } from '../../../fuse/session/uring-support.ts';
import { MountedServer } from '../mounts.ts';
import { fuseDeviceMissing } from './bindfs.ts';
import { type Peer, PROJECT } from './peer.ts';

const CLI = path.join(PROJECT, 'dist/cli/vexfs.js');

type Channel = 'auto' | 'classic' | 'uring';

async function start(workspace: string, channel: Channel) {
  const directory = path.join(workspace, 'mount');
  const own = channel === 'auto' ? [] : ['--set', `fuse.channel=${channel}`];
  const server = await MountedServer.start(directory, {
    command: process.execPath,
    args: [CLI, 'mount', '-f', path.join(workspace, 'store'), directory, ...own],
    unmount: [process.execPath, CLI, 'umount', directory],
  });
  const { version } = JSON.parse(fs.readFileSync(path.join(PROJECT, 'package.json'), 'utf8'));
  const way = channel === 'auto' ? '' : `, fuse.channel = "${channel}"`;
  return {
    directory,
    description: `${version}, a fresh store with its defaults${way}, on the host filesystem`,
    pid: server.pid,
    get alive() {
      return server.alive;
    },
    stop: () => server.stop(),
    abort: () => server.abort(),
  };
}

async function missing(): Promise<string | undefined> {
  return fs.existsSync(CLI) ? fuseDeviceMissing() : 'dist/cli/vexfs.js is not built: npm run build';
}

export const vexfs: Peer = { name: 'vexfs', missing, start: (workspace) => start(workspace, 'auto') };

export const vexfsClassic: Peer = {
  name: 'vexfs-classic',
  missing,
  start: (workspace) => start(workspace, 'classic'),
};

export const vexfsUring: Peer = {
  name: 'vexfs-uring',
  async missing() {
    const obstacle = uringObstacle();
    return obstacle === undefined ? missing() : [obstacle.why, obstacle.advice].filter(Boolean).join(': ');
  },
  start: (workspace) => start(workspace, 'uring'),
};
