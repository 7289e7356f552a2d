import { JOURNAL_DISK_SHARE, TRANSACTION_MAX } from '../../runtime/config/bounds.ts';
import type { Config } from '../../runtime/config/schema.ts';
import type { Machine } from '../../runtime/system/topology.ts';

/** More fuse actors than this make nothing faster; each one more is a lane that every shard looks into. */
const FUSE_MOST = 16;
/** Each shard has memory, and is asked by every search. */
const SHARDS_MOST = 8;

/**
 * The configuration with numbers where it says "as many as fit this machine", and a journal that is small beside the store's disk,
 * which has `diskBytes`. By main, once for each mount: every thread computes the layout of the shared memory from it, and a thread
 * that is pinned would count fewer CPUs.
 */
export function withReserves(config: Config, { cpus }: Machine, diskBytes: number): Config {
  const { store, workers } = config;
  const { fuse, shards } = workers;
  const fuse_max = workers.fuse_max || Math.max(fuse, Math.min(cpus.length, FUSE_MOST));
  const shards_max = workers.shards_max || Math.max(shards, Math.min(cpus.length, SHARDS_MOST));
  const share = 2 ** Math.floor(Math.log2(Math.max(2 * TRANSACTION_MAX, diskBytes / JOURNAL_DISK_SHARE)));
  return {
    ...config,
    store: { ...store, journal_buffer: Math.min(store.journal_buffer, share) },
    workers: { ...workers, fuse_max, shards_max },
  };
}
