#!/usr/bin/env node
/**
 * mount.vexfs: what mount(8) runs for "mount -t vexfs STORE DIR" and for lines of fstab. Its exit codes are mount(8)'s:
 * 0 mounted, 1 not understood, 32 not mounted.
 */
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

async function mountAs({ store, directory, options, config, set, fake }: HelperRequest): Promise<number> {
  if (!fake) await mountInBackground(store, directory, { options: [...options], config, set: [...set] });
  return 0;
}

outliveReaders();
process.exitCode = await orSay(USAGE, async () => {
  const request = parseHelperArguments(process.argv.slice(2));
  return orSay(NOT_MOUNTED, () => mountAs(request));
});
clearProgress();
