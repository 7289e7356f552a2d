/**
 * fuse-native is unmaintained and is kept out of the project's dependencies: it lives in a package of this folder, which the
 * benchmark installs on first use. Its prebuilt addon for linux-x64 wants libfuse.so.2, of which it carries a copy
 * that the dynamic linker does not find by itself; elsewhere it is compiled by npm and needs a compiler.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { MountedServer, run } from '../mounts.ts';
import { fuseDeviceMissing } from './bindfs.ts';
import { type Peer, PROJECT } from './peer.ts';

export const FOLDER = path.join(PROJECT, 'bench/fuse/peers');
const PACKAGE = path.join(FOLDER, 'node_modules/fuse-native');
const BUNDLED = path.join(PACKAGE, `prebuilds/linux-${process.arch}/libfuse.so`);
const LINKS = path.join(FOLDER, 'node_modules/.libfuse2');
const INSTALL_TIMEOUT_MS = 180_000;

/** How the addon finds libfuse.so.2; undefined when it cannot. */
export function libfuse2(): { words: string; environment: Record<string, string> } | undefined {
  const known = spawnSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' }).stdout ?? '';
  if (known.includes('libfuse.so.2 ')) return { words: "the system's libfuse 2", environment: {} };
  if (!fs.existsSync(BUNDLED)) return undefined;
  fs.mkdirSync(LINKS, { recursive: true });
  const link = path.join(LINKS, 'libfuse.so.2');
  if (!fs.existsSync(link)) fs.symlinkSync(BUNDLED, link);
  return { words: 'its own copy of libfuse 2', environment: { LD_LIBRARY_PATH: LINKS } };
}

export async function fuseNativeMissing(): Promise<string | undefined> {
  const device = fuseDeviceMissing();
  if (device) return device;
  if (!fs.existsSync(PACKAGE)) {
    const failed = await run('npm', ['install', '--no-package-lock'], INSTALL_TIMEOUT_MS, { cwd: FOLDER });
    if (failed) return `fuse-native does not install: ${failed.split('\n').at(-1)}`;
  }
  return libfuse2() ? undefined : 'no libfuse 2 for fuse-native: apt-get install libfuse2';
}

function fuseNativePeer(name: string, variant: 'default' | 'tuned', words: string): Peer {
  return {
    name,
    missing: fuseNativeMissing,
    async start(workspace) {
      const directory = path.join(workspace, 'mount');
      const library = libfuse2()!;
      const server = await MountedServer.start(directory, {
        command: process.execPath,
        args: [new URL('./fuse-native-server.js', import.meta.url).pathname, FOLDER, directory, variant],
        environment: library.environment,
      });
      const { version } = JSON.parse(fs.readFileSync(path.join(PACKAGE, 'package.json'), 'utf8'));
      return {
        directory,
        description: `${version} with ${library.words}, ${words}, a tree in memory`,
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

export const fuseNative = fuseNativePeer('fuse-native', 'default', 'default options');
export const fuseNativeTuned = fuseNativePeer(
  'fuse-native-tuned',
  'tuned',
  'names, attributes and pages cached without end, big writes',
);
