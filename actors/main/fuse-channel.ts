import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FUSE_OVER_IO_URING_2 } from '../../fuse/protocol/abi.ts';
import type { Agreed } from '../../fuse/protocol/init.ts';
import { ringEntriesOf, URING, UringMemory } from '../../fuse/session/uring-memory.ts';
import { enableUring, uringObstacle } from '../../fuse/session/uring-support.ts';
import type { Config } from '../../runtime/config/schema.ts';
import { possibleCpus } from '../../runtime/system/cpu-list.ts';
import { holdInode } from '../../runtime/system/libc.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { Context } from '../context.ts';

/** How requests come from the kernel, and half a sentence that says why. */
export interface ChosenChannel {
  readonly channel: 'uring' | 'classic';
  readonly why: string;
}

/** Before INIT: what is to be asked for. @throws {UserError} if the configuration insists on what cannot be had. */
export function chooseChannel({ fuse, workers }: Config): ChosenChannel {
  if (fuse.channel === 'classic') return { channel: 'classic', why: 'as fuse.channel says' };
  if (fuse.channel === 'auto' && !fuse.enable_uring)
    return { channel: 'classic', why: 'fuse.enable_uring is off' };
  if (fuse.enable_uring) enableUring();
  // One more: the kernel frees the ring of a fuse actor that died some time after its successor has one.
  const obstacle = uringObstacle(workers.fuse + 1, ringEntriesOf(possibleCpus()));
  if (fuse.channel === 'uring') {
    if (obstacle === undefined) return { channel: 'uring', why: 'as fuse.channel says' };
    const { why, advice } = obstacle;
    const todo = advice === undefined ? '' : `: ${advice}`;
    throw new UserError(`fuse.channel is "uring", and ${why}${todo}; or set fuse.channel to "auto"`);
  }
  if (obstacle !== undefined) return { channel: 'classic', why: obstacle.why };
  return { channel: 'uring', why: 'fuse.enable_uring is on' };
}

/** After INIT. */
export function agreedChannel(chosen: ChosenChannel, { flags2 }: Agreed): ChosenChannel {
  if (chosen.channel === 'classic' || (flags2 & FUSE_OVER_IO_URING_2) !== 0) return chosen;
  return { channel: 'classic', why: 'the kernel did not offer FUSE over io_uring' };
}

/**
 * With queues, once the mount answers: a file for sealQueues, which the kernel keeps. The descriptor that holds it, or −errno:
 * then requests that meet a fuse actor's death fail with ECANCELED.
 */
export async function holdNode({ arena, logger }: Context, directory: string): Promise<number> {
  const path = join(directory, '.vexfs/stats');
  const fd = await holdInode(path);
  if (fd < 0) {
    logger.warn({ errno: -fd }, 'queues cannot be sealed: requests may fail when a fuse actor dies');
    return fd;
  }
  const { ino } = await stat(path, { bigint: true });
  new UringMemory(arena.region(URING)).setNode(Number(ino & 0xffffffffn), Number(ino >> 32n));
  return fd;
}
