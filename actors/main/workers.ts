/** How many threads of a kind there are, when that can change while mounted. */
export interface Workers {
  /** Those that are there now, or are about to be. */
  readonly count: number;
  /** There can be no more before the next mount. */
  readonly room: number;
  /** @throws {UserError} their number cannot change at present. */
  mustBeFree(): void;
  /**
   * Resolves when there are `count`, 1 … room, or when what is left to do is under way. Only after an earlier call has
   * ended.
   *
   * @throws {UserError} one did not start; there may be some more or fewer than before.
   */
  resize(count: number): Promise<void>;
}

/** By the names of their keys: `workers.fuse`, `workers.shards`. */
export interface AllWorkers {
  readonly fuse: Workers;
  readonly shards: Workers;
}
