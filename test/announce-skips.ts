/** Run once before all tests: what will not be tested here, and why. */
import { fuseUnavailable } from '../fuse/mount/mount.ts';

export function setup(): void {
  const reason = fuseUnavailable();
  if (reason !== undefined) process.stderr.write(`Tests that need a mount are skipped: ${reason}\n`);
}
