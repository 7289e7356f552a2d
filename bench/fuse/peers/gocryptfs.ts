import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { MountedServer } from '../mounts.ts';
import { fuseDeviceMissing } from './bindfs.ts';
import type { Peer } from './peer.ts';

/** A filesystem in Go (go-fuse) that people use daily; it encrypts, so what it does with bytes costs it more. */
export const gocryptfs: Peer = {
  name: 'gocryptfs',
  async missing() {
    if (spawnSync('gocryptfs', ['-version']).error) return 'no gocryptfs: apt-get install gocryptfs';
    return fuseDeviceMissing();
  },
  async start(workspace) {
    const cipher = path.join(workspace, 'cipher');
    const directory = path.join(workspace, 'mount');
    const password = path.join(workspace, 'password');
    fs.mkdirSync(cipher);
    fs.writeFileSync(password, 'benchmark\n');
    const made = spawnSync('gocryptfs', ['-init', '-q', '-scryptn', '10', '-passfile', password, cipher], {
      encoding: 'utf8',
    });
    if (made.status !== 0) throw new Error(`gocryptfs -init: ${made.stderr.trim()}`);
    const server = await MountedServer.start(directory, {
      command: 'gocryptfs',
      args: ['-fg', '-q', '-passfile', password, cipher, directory],
    });
    const version = spawnSync('gocryptfs', ['-version'], { encoding: 'utf8' }).stdout.split(/[ ;]/)[1];
    return {
      directory,
      description: `${version}, default options, over a directory of the host filesystem`,
      pid: server.pid,
      get alive() {
        return server.alive;
      },
      stop: () => server.stop(),
      abort: () => server.abort(),
    };
  },
};
