import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { MountedServer } from '../mounts.ts';
import { fuseDeviceMissing } from './bindfs.ts';
import type { Peer } from './peer.ts';

/** libfuse's example of a filesystem in C that hands everything to the host's; Debian installs its source. */
const SOURCES = [
  '/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c',
  '/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c.gz',
];

function sourceFile(): string | undefined {
  return SOURCES.find((file) => fs.existsSync(file));
}

function libfuse(...args: readonly string[]): string[] | undefined {
  const { status, stdout } = spawnSync('pkg-config', ['fuse3', ...args], { encoding: 'utf8' });
  return status === 0 ? stdout.trim().split(/\s+/) : undefined;
}

/** Compiles the example into `workspace`. @throws with what the compiler says. */
function compile(workspace: string): string {
  const source = sourceFile()!;
  const examples = path.dirname(source);
  const copy = path.join(workspace, 'passthrough_ll.c');
  const packed = fs.readFileSync(source);
  fs.writeFileSync(
    copy,
    source.endsWith('.gz') ? spawnSync('gzip', ['-dc'], { input: packed }).stdout : packed,
  );
  const program = path.join(workspace, 'passthrough_ll');
  const args = ['-O2', `-I${examples}`, copy, ...libfuse('--cflags', '--libs')!, '-o', program];
  const { status, stderr } = spawnSync('gcc', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`gcc: ${stderr.trim().split('\n')[0]}`);
  return program;
}

function peer(name: string, options: readonly string[], words: string): Peer {
  return {
    name,
    async missing() {
      if (sourceFile() === undefined || libfuse('--libs') === undefined)
        return 'no source of passthrough_ll: apt-get install libfuse3-dev pkg-config';
      if (spawnSync('gcc', ['--version']).error) return 'no gcc: apt-get install gcc';
      return fuseDeviceMissing();
    },
    async start(workspace) {
      const source = path.join(workspace, 'source');
      const directory = path.join(workspace, 'mount');
      fs.mkdirSync(source);
      const given = [`source=${source}`, ...options].join(',');
      const server = await MountedServer.start(directory, {
        command: compile(workspace),
        args: ['-f', '-o', given, directory],
      });
      return {
        directory,
        description: `of libfuse ${libfuse('--modversion')}, gcc -O2, ${words}, over a directory of the host filesystem`,
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

export const passthroughLl = peer(
  'passthrough_ll',
  [],
  'default options (several threads, caches for a second)',
);
/** With all that the kernel may cache, as VexFS lets it. */
export const passthroughLlCached = peer(
  'passthrough_ll-cached',
  ['cache=always', 'timeout=86400'],
  'cache=always, timeout=86400',
);
