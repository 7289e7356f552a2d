import fs from 'node:fs';
import path from 'node:path';
import { MountedServer } from '../mounts.ts';
import { fuseDeviceMissing } from './bindfs.ts';
import { type Peer, PROJECT } from './peer.ts';

const CLI = path.join(PROJECT, 'dist/cli/vexfs.js');

/** With settings (`key=value`) and environment variables of its own. */
export function vexfsWith(settings: readonly string[], environment: Readonly<Record<string, string>>): Peer {
  return {
    name: 'vexfs',
    missing: async () =>
      fs.existsSync(CLI) ? fuseDeviceMissing() : 'dist/cli/vexfs.js is not built: npm run build',
    async start(workspace) {
      const directory = path.join(workspace, 'mount');
      const server = await MountedServer.start(directory, {
        command: process.execPath,
        args: [
          CLI,
          'mount',
          '-f',
          ...settings.flatMap((one) => ['--set', one]),
          path.join(workspace, 'store'),
          directory,
        ],
        environment,
        unmount: [process.execPath, CLI, 'umount', directory],
      });
      const { version } = JSON.parse(fs.readFileSync(path.join(PROJECT, 'package.json'), 'utf8'));
      return {
        directory,
        description: `${version}, a fresh store with its defaults, on the host filesystem`,
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

export const vexfs = vexfsWith([], {});
