/** A fuse actor: reads requests from the kernel, runs them against the shared tree, answers. */
import { ROOT } from '../../fuse/namespace/namespace.ts';
import { Content } from '../../fuse/objects/content.ts';
import { DataLocks } from '../../fuse/objects/data-locks.ts';
import { LastReads } from '../../fuse/objects/last-reads.ts';
import { ObjectFiles } from '../../fuse/objects/object-files.ts';
import { OpenFiles } from '../../fuse/objects/open-files.ts';
import { PassedFiles } from '../../fuse/objects/passed-files.ts';
import { StagedSums } from '../../fuse/objects/staged-sums.ts';
import { SyncHabits } from '../../fuse/objects/sync-habits.ts';
import { Operations } from '../../fuse/operations/operations.ts';
import { Resumption } from '../../fuse/operations/resumption.ts';
import { ABSENT_NAMES, AbsentNames } from '../../fuse/session/absent-names.ts';
import { KernelBacking } from '../../fuse/session/backing.ts';
import { AWAKE_MS, type Channel, type PutOff } from '../../fuse/session/channel.ts';
import { ClassicChannel } from '../../fuse/session/classic-channel.ts';
import { Flight } from '../../fuse/session/flight.ts';
import { describe, Server } from '../../fuse/session/server.ts';
import { UringChannel } from '../../fuse/session/uring-channel.ts';
import { URING, UringMemory } from '../../fuse/session/uring-memory.ts';
import { Watch } from '../../fuse/session/watch.ts';
import { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { EMBEDDING_MODEL } from '../../kernels/text/embedder.ts';
import { assert } from '../../runtime/assert.ts';
import { ESTALE } from '../../runtime/errno.ts';
import { runOnSystemCall } from '../../runtime/scheduling/run-loop.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { CpuLatency } from '../../runtime/system/cpu-latency.ts';
import { POLLERR, PollSet } from '../../runtime/system/libc.ts';
import {
  connectionOf,
  isOverUring,
  passthroughAgreed,
  ringActor,
  setxattrExtended,
  WATCH,
} from '../connection.ts';
import type { Context } from '../context.ts';
import { COMPRESSED, PLACED, REFRESH_PASSED, SUMMED, writeWords } from '../messages.ts';
import { PatientDisk } from '../patient-disk.ts';
import { openPending } from '../pending.ts';
import { CONNECTION, FLIGHTS } from '../regions.ts';
import { openTree, type Tree } from '../tree.ts';
import { virtualText } from '../virtual-text.ts';
import type { FuseCommits } from './commits.ts';
import { FuseHandover } from './handover.ts';
import { RequestMetrics } from './request-metrics.ts';

interface Built {
  readonly operations: Operations;
  readonly content: Content;
  readonly staged: StagedSums;
  readonly commits: FuseCommits;
}

function buildOperations(context: Context, { slab, namespace }: Tree, flight: Flight): Built {
  const { arena, clock, settings } = context;
  const { config, store } = settings;
  const virtual = new VirtualTree(arena, slab, namespace, virtualText(context), clock);
  const disk = new PatientDisk(new HostDisk(store), context.state);
  const handover = new FuseHandover(context, virtual, openPending(context));
  const objects = new ObjectFiles(disk, config.fuse.open_files);
  const locks = new DataLocks(arena);
  const reads = new LastReads(arena, clock);
  const staged = new StagedSums(arena);
  const passed = passthroughAgreed(context)
    ? new PassedFiles({
        namespace,
        objects,
        locks,
        reads,
        openFiles: new OpenFiles(arena),
        backing: new KernelBacking(connectionOf(context)),
        now: clock.now,
        events: handover,
      })
    : undefined;
  const content = new Content(namespace, objects, locks, handover, {
    habits: new SyncHabits(arena),
    cacheBytes: config.store.compress_cache,
    reads,
    passed,
    staged,
  });
  const { fuse } = config;
  assert(ROOT === 1, 'FUSE_ROOT_ID is the root inode');
  const operations = new Operations({
    namespace,
    content,
    virtual,
    handover,
    disk,
    clock,
    flight,
    absent: new AbsentNames(arena.region(ABSENT_NAMES)),
    options: {
      get entryTimeout() {
        return fuse.entry_timeout_s;
      },
      get negativeTimeout() {
        return fuse.entry_timeout_s;
      },
      get attrTimeout() {
        return fuse.attr_timeout_s;
      },
      model: EMBEDDING_MODEL,
      accessLists: fuse.acl,
      accessTimes: settings.accessTimes,
      writeback: fuse.writeback,
    },
  });
  return { operations, content, staged, commits: handover.commits };
}

/** Answers COMPRESSED. */
function compressed(context: Context, content: Content, u32: Uint32Array, word: number): void {
  const [ino, generation, version, from] = [u32[word]!, u32[word + 1]!, u32[word + 2]!, u32[word + 3]!];
  const [to, stored] = [u32[word + 4]!, u32[word + 5]!];
  const done = content.compressed({ ino, generation, version, from, to, stored });
  writeWords(context.outbox('main'), PLACED, to, -done);
}

/** Answers SUMMED. */
function summed(
  context: Context,
  content: Content,
  staged: StagedSums,
  u32: Uint32Array,
  word: number,
): void {
  const [ino, generation, version] = [u32[word]!, u32[word + 1]!, u32[word + 2]!];
  const object = u32[word + 3]!;
  const sums = staged.take(u32[word + 4]!, u32[word + 5]!);
  const spoils = u32[word + 6]!;
  const done =
    sums === undefined ? -ESTALE : content.summed({ ino, generation, version, object, spoils, sums });
  writeWords(context.outbox('main'), PLACED, object, -done);
}

function openChannel(
  context: Context,
  flight: Flight,
  awake: CpuLatency | undefined,
  putOff: PutOff,
): Channel {
  const { arena, logger, mailbox, settings, state, topology } = context;
  const { fuse, workers } = settings.config;
  const { index } = topology.actor(context.name);
  const options = {
    spinMicroseconds: () => fuse.spin_us,
    doorbell: mailbox.doorbell,
    eventfd: settings.eventfds[index]!,
    awake,
    putOff,
    turn: () => state.beat(),
  };
  const descriptor = connectionOf(context);
  if (!isOverUring(context)) {
    const watch = new Watch(arena.region(CONNECTION).i32, WATCH, index + 1);
    return new ClassicChannel(descriptor, { ...options, watch, threads: () => workers.fuse });
  }
  const failed = (doing: string, errno: number) => logger.error({ doing, errno }, 'io_uring failed');
  return new UringChannel(descriptor, new UringMemory(arena.region(URING)), flight, {
    ...options,
    row: index,
    ring: (row) => ringActor(context, `fuse-${row}`),
    failed,
  });
}

export function run(context: Context): void {
  const { arena, logger, settings, state, topology } = context;
  const { fuse } = settings.config;
  const { index } = topology.actor(context.name);
  const awake = fuse.keep_awake ? CpuLatency.open(AWAKE_MS) : undefined;
  const flight = new Flight(arena.region(FLIGHTS), index);
  const tree = openTree(context, flight);
  const { operations, content, staged, commits } = buildOperations(context, tree, flight);
  const channel = openChannel(context, flight, awake, commits);
  const metrics = new RequestMetrics(context, channel, flight);
  context.remote.facts = () => ({
    polled: channel.polled,
    parkedTimes: channel.parked,
    ...channel.facts?.(),
  });
  const connection = new PollSet(connectionOf(context));
  runOnSystemCall(context, {
    ended: () => connection.wait(0) > 0 && (connection.events(0) & POLLERR) !== 0,
    serve(drain, stopRequested) {
      metrics.onRing = () => {
        // This thread may have to stand at its gate, or to stop.
        commits.handOver();
        drain();
        return !stopRequested();
      };
      const server = new Server(channel, operations, metrics, { onlyUid: settings.onlyUid, flight });
      server.request.setxattrExt = setxattrExtended(context);
      if (settings.incarnation > state.firstIncarnation) {
        const resumed = server.resume(new Resumption(operations));
        logger.warn({ resumed, request: describe(server.request) }, 'took over from a thread that died');
      }
      let end: string;
      try {
        end = server.serve();
      } finally {
        channel.leave?.();
      }
      if (end === 'unmounted') content.passed?.endAll();
      logger.info({ end }, 'the connection ended');
    },
    onMessage(kind, _u8, u32, _f64, offset) {
      if (kind === COMPRESSED) compressed(context, content, u32, offset >> 2);
      else if (kind === SUMMED) summed(context, content, staged, u32, offset >> 2);
      else if (kind === REFRESH_PASSED) content.passed?.refreshAll();
      else logger.error({ kind }, 'a message that a fuse actor does not know');
    },
    // What this thread kept in reserve is for those who still run.
    stop() {
      tree.slab.flush();
      awake?.close();
    },
  });
}
