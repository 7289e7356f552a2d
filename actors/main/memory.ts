import { formatUring, URING } from '../../fuse/session/uring-memory.ts';
import { LIVE_KEYS } from '../../runtime/config/fields.ts';
import { publishLive } from '../../runtime/config/live.ts';
import type { Config } from '../../runtime/config/schema.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { Mailbox } from '../../runtime/messaging/mailbox.ts';
import { formatMetrics } from '../../runtime/metrics/metrics.ts';
import { formatBoard } from '../../runtime/scheduling/board-layout.ts';
import { possibleCpus } from '../../runtime/system/cpu-list.ts';
import { UserError } from '../../runtime/user-error.ts';
import { formatDoors } from '../graph-doors.ts';
import { metricsPlan } from '../metrics.ts';
import { setPresent } from '../presence.ts';
import { GRAPH_DOORS, LIVE, METRICS, planRegions, SEARCH_TASK_BYTES, TASKS } from '../regions.ts';
import { Route, settledRoute } from '../route.ts';
import { isConfigured, mailboxRegion, type Topology } from '../topology.ts';

/** Reserves the shared memory and formats what must be there before the first thread starts. */
export function reserveMemory(config: Config, topology: Topology): Arena {
  const plan = planRegions(config, topology);
  let arena: Arena;
  try {
    arena = Arena.create(plan);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const gib = plan.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 30;
    throw new UserError(
      `${gib.toFixed(1)} GiB of shared memory cannot be reserved: lower memory.budget or memory.max_files, or raise ulimit -v`,
    );
  }
  formatBoard(arena.region(TASKS), topology.ofKind('shard').length, SEARCH_TASK_BYTES);
  formatDoors(arena.region(GRAPH_DOORS), topology.ofKind('shard').length);
  publishLive(arena.region(LIVE), LIVE_KEYS, config);
  new Route(arena).word = settledRoute(config.workers.shards);
  formatMetrics(arena.region(METRICS), metricsPlan(topology));
  if (config.fuse.channel !== 'classic') {
    const fuse = topology.ofKind('fuse').length;
    formatUring(arena.region(URING), possibleCpus(), fuse, config.workers.fuse);
  }
  for (const actor of topology.actors) {
    const { name, senders, laneBytes } = actor;
    Mailbox.format(arena.region(mailboxRegion(name)), senders.length, laneBytes);
    setPresent(arena, actor, isConfigured(config.workers, actor));
  }
  return arena;
}
