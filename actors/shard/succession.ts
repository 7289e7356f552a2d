import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import type { Context } from '../context.ts';
import { SHARD_REPLAYED, TEXT_MISSING, writeWords } from '../messages.ts';
import { moveOf, NO_ROUTE, phaseOf, SETTLED } from '../route.ts';
import { tryList } from '../shard-messages.ts';
import type { ActorKind } from '../topology.ts';
import { Deferred, type TakeMessage } from './deferred.ts';
import type { Recent } from './recent.ts';
import { Replay } from './replay.ts';
import type { Shard } from './shard.ts';

/** Files named in one TEXT_MISSING. */
const MISSING_BATCH = 4096;

/**
 * How a shard's thread takes over from one that ended (incarnation > 1): it starts empty. Until io-0 says REPLAY it takes
 * in nothing; from then on what fuse actors say, because those must not wait for long; and what the indexer says,
 * searches among it, once the replay is complete.
 */
export class Succession {
  readonly #context: Context;
  readonly #disk: Disk;
  readonly #shard: Shard;
  readonly #recent: Recent;
  readonly #indexer: Outbox;
  readonly #index: number;
  readonly #deferred = new Deferred();
  #isAwaited: boolean;
  #replay: Replay | undefined;
  /** The move in whose course the shard was told everything from elsewhere; NO_ROUTE = none. */
  #toldIn = NO_ROUTE;
  /** Files that the indexer is yet to be told are missing, but for those that it says something of before. */
  readonly #missing = new Set<number>();

  constructor(context: Context, disk: Disk, shard: Shard, recent: Recent) {
    this.#context = context;
    this.#disk = disk;
    this.#shard = shard;
    this.#recent = recent;
    this.#indexer = context.outbox('indexer');
    this.#index = context.topology.actor(context.name).index;
    this.#isAwaited = context.settings.incarnation > 1;
  }

  /** Whether the shard does not hold yet what its predecessor held. */
  get isUnderWay(): boolean {
    return this.#isAwaited || this.#replay !== undefined;
  }

  /** Whether a message from there has to wait. */
  defers(from: ActorKind): boolean {
    return this.isUnderWay && (from === 'indexer' || (from === 'fuse' && this.#isAwaited));
  }

  /**
   * Whether what other shards send on is of use, with the route at present. What a replay in the course of the move took
   * in is as new, and partly newer.
   */
  needsWhatIsSentOn(route: number): boolean {
    return phaseOf(route) !== SETTLED && !this.isUnderWay && moveOf(route) !== this.#toldIn;
  }

  defer(kind: number, u8: Uint8Array, offset: number, length: number, lane: number): void {
    this.#deferred.add(kind, u8, offset, length, lane);
  }

  /** What can be taken now; `take` may put messages off once more. */
  takeDeferred(take: TakeMessage): void {
    this.#deferred.takeAll(take);
  }

  /**
   * A REPLAY, maybe not the first: what io-0's lane brought before it, of a replay that an earlier incarnation did not live
   * to complete, is forgotten. False when it is meant for an earlier incarnation.
   */
  begin(
    checkpointLsn: number,
    durableLsn: number,
    incarnation: number,
    lastStamp: number,
    route: number,
  ): boolean {
    const { settings } = this.#context;
    if (incarnation !== settings.incarnation) return false;
    this.#isAwaited = false;
    this.#toldIn = phaseOf(route) === SETTLED ? NO_ROUTE : moveOf(route);
    this.#shard.clearAll();
    this.#recent.cover(lastStamp);
    this.#replay = new Replay({
      disk: this.#disk,
      shard: this.#shard,
      recent: this.#recent,
      index: this.#index,
      route,
      uuid: settings.identity.bytes,
      checkpointLsn,
      durableLsn,
    });
    return true;
  }

  files(u32: Uint32Array, offset: number): void {
    this.#replay?.files(u32, offset);
  }

  allListed(): void {
    this.#replay?.allListed();
  }

  /** A step of the replay: true when there is another. */
  step(): boolean {
    return this.#replay?.step() ?? false;
  }

  /** Whether the replay is complete now; then it is over, and what was put off can be taken. */
  complete(): boolean {
    if (!this.#replay?.isComplete) return false;
    for (const ino of this.#replay.finish()) this.#missing.add(ino);
    if (!this.#replay.wasWhole) this.#context.logger.warn('a segment or a part of the log could not be read');
    this.#replay = undefined;
    return true;
  }

  announce(): void {
    const { outbox, settings } = this.#context;
    writeWords(outbox('main'), SHARD_REPLAYED, this.#index, settings.incarnation);
  }

  /** The indexer says something of the file's text. */
  heardOf(ino: number): void {
    this.#missing.delete(ino);
  }

  /** Tells the indexer what is missing. False when its lane has no room for all of it. */
  reportMissing(): boolean {
    while (this.#missing.size > 0) {
      const batch = Uint32Array.from([...this.#missing].slice(0, MISSING_BATCH));
      if (!tryList(this.#indexer, TEXT_MISSING, batch.length, batch)) return false;
      for (const ino of batch) this.#missing.delete(ino);
      this.#context.logger.warn(
        { files: batch.length },
        'files whose text is missing are to be indexed again',
      );
    }
    return true;
  }
}
