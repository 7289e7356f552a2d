import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { MountedServer } from '../mounts.ts';
import type { Peer } from './peer.ts';

export function fuseDeviceMissing(): string | undefined {
  return fs.existsSync('/dev/fuse')
    ? undefined
    : 'no /dev/fuse: load the fuse module, or give the container the device';
}

function bindfsPeer(name: string, options: readonly string[], words: string): Peer {
  return {
    name,
    async missing() {
      if (spawnSync('bindfs', ['--version']).error) return 'no bindfs: apt-get install bindfs';
      return fuseDeviceMissing();
    },
    async start(workspace) {
      const source = path.join(workspace, 'source');
      const directory = path.join(workspace, 'mount');
      fs.mkdirSync(source);
      const server = await MountedServer.start(directory, {
        command: 'bindfs',
        args: ['-f', ...options, source, directory],
      });
      const version = spawnSync('bindfs', ['--version'], { encoding: 'utf8' })
        .stdout.trim()
        .split(' ')
        .at(-1);
      return {
        directory,
        description: `${version}, ${words}, over a directory of the host filesystem`,
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

export const bindfs = bindfsPeer('bindfs', [], 'default options (one thread)');
export const bindfsMultithreaded = bindfsPeer('bindfs-mt', ['--multithreaded'], '--multithreaded');
