#!/usr/bin/env node
/**
 * mount.vexfs: what mount(8) runs for "mount -t vexfs STORE DIR" and for lines of fstab. Its exit codes are mount(8)'s:
 * 0 mounted, 1 not understood, 32 not mounted.
 */
import { spawnSync } from 'node:child_process';
import { UserError } from '../runtime/user-error.ts';
import { mountInBackground } from './mount.ts';
import { type HelperRequest, parseHelperArguments } from './mount-arguments.ts';
import { clearProgress, outliveReaders, say } from './terminal.ts';

const USAGE = 1;
const NOT_MOUNTED = 32;

/** `use`'s exit code; a UserError is told, and the code is `failed`. */
async function orSay(failed: number, use: () => Promise<number>): Promise<number> {
  try {
    return await use();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    for (const line of error.message.split('\n')) say(line);
    return failed;
  }
}

/** As for any filesystem that root mounts by mount(8), which does not pass these two on, but passes on their opposites. */
const OF_ROOT = ['suid', 'dev'];

async function mountAs({ store, directory, options, config, set }: HelperRequest): Promise<number> {
  const defaults = process.getuid?.() === 0 ? OF_ROOT : [];
  await mountInBackground(store, directory, { options: [...defaults, ...options], config, set: [...set] });
  return 0;
}

/** By the kernel alone: nothing of it is VexFS's. The exit code of mount(8), which says itself what it could not do. */
function remountAs(directory: string, options: readonly string[]): number {
  const args = ['-i', '-o', ['remount', ...options].join(','), directory];
  return spawnSync('mount', args, { stdio: 'inherit' }).status ?? NOT_MOUNTED;
}

outliveReaders();
process.exitCode = await orSay(USAGE, async () => {
  const request = parseHelperArguments(process.argv.slice(2));
  if (request.fake) return 0;
  if (request.remount !== undefined) return remountAs(request.directory, request.remount);
  return orSay(NOT_MOUNTED, () => mountAs(request));
});
clearProgress();
