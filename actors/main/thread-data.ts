/** What main knows of a mount before there is memory: every thread is started with it, and with what is its own. */
import { join } from 'node:path';
import type { MountOptions } from '../../fuse/mount/mount-options.ts';
import { readWords } from '../../kernels/text/words-file.ts';
import { DECLARED, LIVE_KEYS } from '../../runtime/config/fields.ts';
import type { Config } from '../../runtime/config/schema.ts';
import type { OpenStore } from '../../runtime/storage/store.ts';
import { eventfd } from '../../runtime/system/libc.ts';
import type { ThreadData } from '../context.ts';
import type { Topology } from '../topology.ts';

export function threadData(
  store: OpenStore,
  config: Config,
  options: MountOptions,
  topology: Topology,
): Omit<ThreadData, 'arena' | 'shardDistances'> {
  return {
    name: 'main',
    config,
    store: store.path,
    identity: store.identity,
    log: join(store.path, 'vexfs.log'),
    eventfds: topology.ofKind('fuse').map(() => eventfd()),
    words: readWords(),
    onlyUid: options.allowRoot ? process.getuid!() : undefined,
    accessTimes: config.fuse.atime === 'relatime' && !options.noatime && !options.readOnly,
    isReadOnly: options.readOnly,
    shown: { uid: options.uid, gid: options.gid, umask: options.umask },
    incarnation: 1,
    liveKeys: LIVE_KEYS,
    declared: DECLARED,
    cpus: [],
  };
}
