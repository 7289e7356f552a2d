import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { fuseUnavailable } from '../fuse/mount/mount.ts';
import { uringObstacle } from '../fuse/session/uring-support.ts';

const PARAMETER = '/sys/module/fuse/parameters/enable_uring';

function reason(): string | undefined {
  if (!existsSync(PARAMETER)) return 'this kernel has no FUSE over io_uring';
  if (process.getuid?.() !== 0) return 'only root may switch FUSE over io_uring on';
  if (readFileSync(PARAMETER, 'latin1').startsWith('Y')) return uringObstacle()?.why ?? fuseUnavailable();
  try {
    accessSync(PARAMETER, constants.W_OK);
  } catch (error) {
    return `FUSE over io_uring cannot be switched on here (${(error as NodeJS.ErrnoException).code})`;
  }
  return fuseUnavailable();
}

/** Why no mount over io_uring can be made here, or undefined. */
export const NO_URING = reason();
