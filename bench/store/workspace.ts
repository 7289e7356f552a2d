/** Where the benchmark works: a directory on the host filesystem, with stores mounted and unmounted in it. */
import fs from 'node:fs';
import path from 'node:path';
import { MountedServer, mountedDevice, run } from '../fuse/mounts.ts';
import { CLI, PROJECT } from '../fuse/peers/peer.ts';

export const PEERS = path.join(PROJECT, 'bench/store/peers');
const INSTALL_TIMEOUT_MS = 300_000;

/** Why SQLite cannot be measured; undefined when it can. Installs it on first use, which may take two minutes. */
export async function sqliteMissing(say: (text: string) => void): Promise<string | undefined> {
  if (fs.existsSync(path.join(PEERS, 'node_modules/better-sqlite3'))) return undefined;
  say('installing better-sqlite3 in bench/store/peers');
  const failed = await run('npm', ['ci', '--no-fund', '--no-audit'], INSTALL_TIMEOUT_MS, { cwd: PEERS });
  return failed === undefined ? undefined : `better-sqlite3 does not install: ${failed.split('\n').at(-1)}`;
}

/** Makes `parent`/vexfs-bench-…, gives it to `use`, and removes it whatever happens, unless something is still mounted there. */
export async function inWorkspace<T>(parent: string, use: (workspace: string) => Promise<T>): Promise<T> {
  const workspace = fs.mkdtempSync(path.join(fs.realpathSync(parent), 'vexfs-bench-'));
  const remove = (): void => {
    if (mountedDevice(path.join(workspace, 'mount')) === undefined) {
      fs.rmSync(workspace, { recursive: true, force: true });
    }
  };
  process.once('exit', remove);
  try {
    return await use(workspace);
  } finally {
    process.off('exit', remove);
    remove();
  }
}

/** Mounts the store `workspace`/store at `workspace`/mount. `set`: key=value, as for --set. */
export function mountStore(workspace: string, set: readonly string[] = []): Promise<MountedServer> {
  const directory = path.join(workspace, 'mount');
  return MountedServer.start(directory, {
    command: process.execPath,
    args: [
      CLI,
      'mount',
      '-f',
      ...set.flatMap((pair) => ['--set', pair]),
      path.join(workspace, 'store'),
      directory,
    ],
    unmount: [process.execPath, CLI, 'umount', directory],
  });
}

/** Bytes that a process has caused to be written to its disk so far (proc_pid_io(5)). */
export function bytesWritten(pid: number | 'self'): number {
  const text = fs.readFileSync(`/proc/${pid}/io`, 'utf8');
  return Number(/^write_bytes: (\d+)$/m.exec(text)![1]);
}
