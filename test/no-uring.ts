import { existsSync } from 'node:fs';
import { fuseUnavailable } from '../fuse/mount/mount.ts';

function reason(): string | undefined {
  if (!existsSync('/sys/module/fuse/parameters/enable_uring')) return 'this kernel has no FUSE over io_uring';
  if (process.getuid?.() !== 0) return 'only root may switch FUSE over io_uring on';
  return fuseUnavailable();
}

/** Why no mount over io_uring can be made here, or undefined. */
export const NO_URING = reason();
