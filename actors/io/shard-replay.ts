/**
 * The part of io-0 in bringing the successors of shards up to date (REPLAY_SHARD): it tells a shard from where to read,
 * and then, a few at a time between commits, which files there are and all users' vectors. It waits for nobody: not for
 * room in a lane, whose shard may have died again, and not for the tables, whose writer may have.
 *
 * Main has asked for a FLUSH before. So all that was journalled before the shard's predecessor ended is in the log.
 */
import { FileSnapshot, type Namespace } from '../../fuse/namespace/namespace.ts';
import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import type { DoorbellActor } from '../../runtime/scheduling/actor.ts';
import { ActorState } from '../../runtime/scheduling/actor-state.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import type { Context } from '../context.ts';
import { FILE_BYTES, REPLAY_DONE, REPLAY_FILES, REPLAY_SHARD, trySignal } from '../messages.ts';
import { ACTOR_STATES, STORE_STATUS } from '../regions.ts';
import { keeps, Route, takesPart } from '../route.ts';
import { tryList, tryPutVector, tryReplay } from '../shard-messages.ts';
import { VectorOrder } from '../vector-order.ts';

/** How long a slice may take, milliseconds: an fsync waits no longer for it. */
const SLICE_MS = 3;
/** Inodes between two looks at the clock. */
const INODES_PER_LOOK = 256;
/** How soon a full lane, or tables that are being changed, are looked at again, milliseconds. */
const RETRY_MS = 2;
const FILE_WORDS = FILE_BYTES / 4;
const FILES_PER_MESSAGE = 1024;

interface ShardReplay {
  readonly shard: number;
  readonly outbox: Outbox;
  readonly state: ActorState;
  readonly incarnation: number;
  isBegun: boolean;
  /** By which its files are chosen. */
  route: number;
  /** As of which stamp the tables are told. */
  stamp: number;
  /** The next inode to look at. */
  ino: number;
  readonly files: Uint32Array;
  filled: number;
}

type Step = 'more' | 'wait' | 'done';

export class ShardReplays {
  readonly #context: Context;
  readonly #namespace: () => Namespace;
  readonly #order: VectorOrder;
  readonly #route: Route;
  readonly #queue: ShardReplay[] = [];
  readonly #snapshot = new FileSnapshot();

  constructor(context: Context, namespace: () => Namespace) {
    this.#context = context;
    this.#namespace = namespace;
    this.#order = new VectorOrder(context.arena);
    this.#route = new Route(context.arena);
  }

  /** A later request for the same shard takes the place of an earlier one: the shard has died again. */
  begin(shard: number, incarnation: number): void {
    const { topology, arena } = this.#context;
    const { name, slot } = topology.ofKind('shard')[shard]!;
    const state = new ActorState(arena.region(ACTOR_STATES), slot);
    const earlier = this.#queue.findIndex((replay) => replay.shard === shard);
    if (earlier >= 0) this.#queue.splice(earlier, 1);
    this.#queue.push({
      shard,
      outbox: this.#context.outbox(name),
      state,
      incarnation,
      isBegun: false,
      route: this.#route.word,
      stamp: 0,
      ino: 1,
      files: new Uint32Array(FILES_PER_MESSAGE * FILE_WORDS),
      filled: 0,
    });
  }

  /** The tables were made anew: what was told of them is told again. */
  startOver(): void {
    for (const replay of this.#queue) replay.isBegun = false;
  }

  /** Works for a slice. How many milliseconds the thread may sleep then. */
  idle(): number {
    const replay = this.#queue[0];
    if (replay === undefined) return Number.POSITIVE_INFINITY;
    const step = replay.state.incarnation === replay.incarnation ? this.#slice(replay) : 'done';
    // One that waits for room does not hold up the others.
    if (step !== 'more') this.#queue.shift();
    if (step === 'wait') this.#queue.push(replay);
    return step === 'wait' ? RETRY_MS : 0;
  }

  #slice(replay: ShardReplay): Step {
    if (!replay.isBegun && !this.#tell(replay)) return 'wait';
    const end = takesPart(replay.route, replay.shard) ? this.#namespace().inodesEnd : 0;
    const until = performance.now() + SLICE_MS;
    for (let looked = 1; replay.ino < end; looked++) {
      if (!this.#tellFile(replay)) return 'wait';
      if (looked % INODES_PER_LOOK === 0 && performance.now() > until) return 'more';
    }
    return this.#sendFiles(replay) && trySignal(replay.outbox, REPLAY_DONE) ? 'done' : 'wait';
  }

  #tell(replay: ShardReplay): boolean {
    const { checkpointLsn, durableLsn } = new StoreStatus(this.#context.arena.region(STORE_STATUS)).read();
    replay.stamp = this.#order.last;
    replay.route = this.#route.word;
    replay.ino = 1;
    replay.filled = 0;
    replay.isBegun = tryReplay(
      replay.outbox,
      checkpointLsn,
      durableLsn,
      replay.incarnation,
      replay.stamp,
      replay.route,
    );
    return replay.isBegun;
  }

  /** The next inode, if it is the shard's; false when it has to be tried again. */
  #tellFile(replay: ShardReplay): boolean {
    const { ino, shard, outbox, stamp, route } = replay;
    if (keeps(route, shard, ino)) {
      const file = this.#snapshot;
      const found = this.#namespace().snapshot(ino, file);
      if (found < 0) return false;
      if (found === 1) {
        if (replay.filled === FILES_PER_MESSAGE && !this.#sendFiles(replay)) return false;
        for (const { collection, bytes } of file.vectors) {
          if (!tryPutVector(outbox, ino, file.generation, collection, stamp, bytes)) return false;
        }
        replay.files.set([ino, file.generation, file.version, file.chunks], replay.filled * FILE_WORDS);
        replay.filled++;
      }
    }
    replay.ino++;
    return true;
  }

  #sendFiles(replay: ShardReplay): boolean {
    const { outbox, files, filled } = replay;
    if (filled === 0) return true;
    if (!tryList(outbox, REPLAY_FILES, filled, files.subarray(0, filled * FILE_WORDS))) return false;
    replay.filled = 0;
    return true;
  }
}

/** io-0 with the replays beside its own work, which comes first. */
export function withShardReplays(actor: DoorbellActor, replays: ShardReplays): DoorbellActor {
  return {
    onMessage(kind, u8, u32, f64, offset, length, lane) {
      if (kind === REPLAY_SHARD) replays.begin(u32[offset >> 2]!, u32[(offset >> 2) + 1]!);
      else actor.onMessage(kind, u8, u32, f64, offset, length, lane);
    },
    idle: () => Math.min(actor.idle(), replays.idle()),
    stop: () => actor.stop(),
  };
}
