import { type Wanted, wantedFlags } from '../../fuse/protocol/init.ts';
import type { Context } from '../context.ts';
import type { ChosenChannel } from './fuse-channel.ts';

/** What a mount with this configuration asks of the kernel. */
export function wantedOf({ settings }: Context, { channel }: ChosenChannel): Wanted {
  const { writeback, background, acl, passthrough } = settings.config.fuse;
  return wantedFlags({
    writeback,
    background,
    // Files change through this mount alone, so only their own writes make cached pages stale.
    dataCache: 'explicit',
    accessLists: acl,
    passthrough: passthrough === 'auto' && process.geteuid!() === 0,
    overUring: channel === 'uring',
  });
}
