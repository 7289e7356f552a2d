/** Run once before all tests: what will not be tested here, and why. */
import { fuseUnavailable } from '../fuse/mount/mount.ts';
import { NO_URING } from './no-uring.ts';

export function setup(): void {
  const reason = fuseUnavailable();
  if (reason !== undefined) process.stderr.write(`Tests that need a mount are skipped: ${reason}\n`);
  else if (NO_URING !== undefined) process.stderr.write(`Tests over io_uring are skipped: ${NO_URING}\n`);
}
