import { FUSE_OVER_IO_URING_2 } from '../../fuse/protocol/abi.ts';
import type { Agreed } from '../../fuse/protocol/init.ts';
import { enableUring, uringObstacle } from '../../fuse/session/uring-support.ts';
import type { Config } from '../../runtime/config/schema.ts';
import { UserError } from '../../runtime/user-error.ts';

/** How requests come from the kernel, and half a sentence that says why. */
export interface ChosenChannel {
  readonly channel: 'uring' | 'classic';
  readonly why: string;
}

/** Before INIT: what is to be asked for. @throws {UserError} if the configuration insists on what cannot be had. */
export function chooseChannel({ fuse }: Config): ChosenChannel {
  if (fuse.channel === 'classic') return { channel: 'classic', why: 'as fuse.channel says' };
  if (fuse.enable_uring) enableUring();
  const obstacle = uringObstacle();
  if (fuse.channel === 'uring') {
    if (obstacle === undefined) return { channel: 'uring', why: 'as fuse.channel says' };
    const { why, advice } = obstacle;
    const todo = advice === undefined ? '' : `: ${advice}`;
    throw new UserError(`fuse.channel is "uring", and ${why}${todo}; or set fuse.channel to "auto"`);
  }
  if (obstacle !== undefined) return { channel: 'classic', why: obstacle.why };
  return { channel: 'uring', why: 'the kernel has it' };
}

/** After INIT. */
export function agreedChannel(chosen: ChosenChannel, { flags2 }: Agreed): ChosenChannel {
  if (chosen.channel === 'classic' || (flags2 & FUSE_OVER_IO_URING_2) !== 0) return chosen;
  return { channel: 'classic', why: 'the kernel did not offer FUSE over io_uring' };
}
