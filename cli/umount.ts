import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { locate } from '../fuse/mount/mount-point.ts';
import { isVexfs, mountAt, readMounts } from '../fuse/mount/mountinfo.ts';
import { unmount } from '../fuse/mount/unmount.ts';
import { ENOENT } from '../runtime/errno.ts';
import { UserError } from '../runtime/user-error.ts';
import { ControlClient, NotRunning } from './client.ts';
import { print, progress } from './terminal.ts';

/** A large store takes a while to write its checkpoint. */
const UNMOUNT_TIMEOUT_MS = 600_000;
const POLL_MS = 20;

const HELP = `
Everything is on disk when the command returns. A mount in use stays, and the message names who uses it;
"--lazy" detaches it at once, and it ends when the last program has closed its files.
A mount whose process was killed is detached too.`;

export function addUmount(program: Command): void {
  program
    .command('umount')
    .alias('unmount')
    .summary('unmount')
    .description('Unmount DIR and end the process that serves it.')
    .argument('<dir>', 'where it is mounted')
    .option('-l, --lazy', 'detach it even if programs use it')
    .addHelpText('after', HELP)
    .action(umount);
}

async function umount(argument: string, options: { lazy?: true }): Promise<void> {
  const directory = locate(argument);
  if (typeof directory !== 'string')
    throw new UserError(directory.errno === -ENOENT ? `${argument} does not exist` : directory.message);
  const mount = mountAt(readMounts(), directory);
  if (mount === undefined) throw new UserError(`nothing is mounted at ${directory}`);
  if (!isVexfs(mount)) {
    throw new UserError(
      `${directory} is a mount of type ${mount.type}, not a VexFS; unmount it with "umount"`,
    );
  }
  const lazy = options.lazy === true;
  let client: ControlClient;
  try {
    client = await ControlClient.connect(mount.store);
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    // Nobody answers: the process is gone, and only the kernel still knows of the mount.
    const failure = unmount(directory, { lazy });
    if (failure !== undefined) throw new UserError(failure.message);
    print(`${directory} is unmounted; the process that served it was not running`);
    return;
  }
  try {
    await endMount(client, directory, lazy);
  } finally {
    client.close();
  }
  print(`${directory} is ${lazy ? 'detached' : 'unmounted'}`);
}

/** The mount is over for the user when its process is: only then can the store be mounted again. */
async function endMount(client: ControlClient, directory: string, lazy: boolean): Promise<void> {
  const { pid } = await client.call('status', {});
  progress(`unmounting ${directory}`);
  await client.call('unmount', { lazy }, { timeoutMs: UNMOUNT_TIMEOUT_MS });
  if (lazy) return;
  const deadline = performance.now() + UNMOUNT_TIMEOUT_MS;
  while (isRunning(pid)) {
    if (performance.now() > deadline)
      throw new UserError(`${directory} is unmounted, but process ${pid} goes on`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** A zombie has closed everything it held, so its store is free: whether its parent has seen it is no matter. */
function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // "pid (name) state …", where the name may contain anything.
    return stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z';
  } catch {
    return false;
  }
}
