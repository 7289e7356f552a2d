import fs from 'node:fs';
import path from 'node:path';
import { MountedServer } from '../mounts.ts';
import { fuseDeviceMissing } from './bindfs.ts';
import { type Peer, PROJECT, type RunningPeer } from './peer.ts';

const CLI = path.join(PROJECT, 'dist/cli/vexfs.js');

async function missing(): Promise<string | undefined> {
  return fs.existsSync(CLI) ? fuseDeviceMissing() : 'dist/cli/vexfs.js is not built: npm run build';
}

async function start(workspace: string, settings: readonly string[], how: string): Promise<RunningPeer> {
  const directory = path.join(workspace, 'mount');
  const set = settings.flatMap((setting) => ['--set', setting]);
  const server = await MountedServer.start(directory, {
    command: process.execPath,
    args: [CLI, 'mount', '-f', path.join(workspace, 'store'), directory, ...set],
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
}

export const vexfs: Peer = {
  name: 'vexfs',
  missing,
  start: (workspace) => start(workspace, [], 'its defaults'),
};

/** The kernel reads and writes large files by itself; each open and close is a request. */
export const vexfsPassthrough: Peer = {
  name: 'vexfs-passthrough',
  async missing() {
    if (process.getuid?.() !== 0) return 'passthrough needs root';
    return missing();
  },
  start: (workspace) => start(workspace, ['fuse.passthrough=auto'], 'fuse.passthrough = "auto"'),
};
