/**
 * Whether the store's disk has room: io-0 looks a few times a second while the log grows or room is wanting, and says so in the journal's
 * control page, where everybody who changes something looks (journal-ring.ts, `space`).
 *
 * There is enough while the log has its reserve and a checkpoint has room besides: a checkpoint is what makes log superfluous, so only
 * that gives the room of small files back. Below that, what would grow is refused.
 */
import type { Clock } from '../../runtime/clock.ts';
import { EOPNOTSUPP } from '../../runtime/errno.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { type JournalReader, SPACE_ENOUGH, SPACE_LOW } from '../../runtime/storage/journal-ring.ts';
import { makeReserve, reserveBytes } from '../log-reserve.ts';
import type { LogWriter } from '../log-writer.ts';

/** How often is looked at most, milliseconds. */
const LOOK_MS = 250;
/** So much more is needed to be enough again, so that it does not come and go. */
const RETURN_FACTOR = 1.25;

export interface SpaceWatchOptions {
  readonly disk: Disk;
  readonly journal: JournalReader;
  readonly log: LogWriter;
  readonly clock: Clock;
  /** What the reserve is to have, bytes. */
  readonly reserveBytes: number;
  /** What is to be free besides, bytes. */
  leastFree(): number;
  /** After each look: bytes that are free, and that are needed for SPACE_ENOUGH. */
  looked(freeBytes: number, neededBytes: number): void;
}

export class SpaceWatch {
  readonly #options: SpaceWatchOptions;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** Bytes of the log at the last look. */
  #logBytes = -1;

  constructor(options: SpaceWatchOptions) {
    this.#options = options;
  }

  /** Milliseconds until the next look. */
  lookIfDue(): number {
    const { journal, log, clock } = this.#options;
    if (journal.space === SPACE_ENOUGH && log.bytes === this.#logBytes) return Number.POSITIVE_INFINITY;
    const due = this.#lookedAt + LOOK_MS - clock.monotonic();
    if (due > 0) return due;
    this.look();
    return LOOK_MS;
  }

  look(): void {
    const { disk, journal, log, clock, reserveBytes: wanted } = this.#options;
    this.#lookedAt = clock.monotonic();
    this.#logBytes = log.bytes;
    const space = disk.space();
    if (typeof space === 'number') return;
    const isReturning = journal.space !== SPACE_ENOUGH;
    const least = this.#options.leastFree() * (isReturning ? RETURN_FACTOR : 1);
    const missing = reserveBytes(disk) >= wanted ? 0 : wanted;
    const needed = missing + least;
    // Nothing can be reserved on some disks, which have room all the same.
    const made = missing > 0 && space.freeBytes >= needed ? makeReserve(disk, missing) : 0;
    const isEnough = space.freeBytes >= needed && (made === 0 || made === -EOPNOTSUPP);
    if (isEnough) journal.setSpace(SPACE_ENOUGH);
    else if (!isReturning) journal.setSpace(SPACE_LOW);
    this.#options.looked(space.freeBytes, needed);
  }
}
