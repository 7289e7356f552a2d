/** The tree of a store in memory of this process's own: what a checkpoint and the log after it say, for looking at. */
import { ObjectRedo } from '../../actors/io/object-redo.ts';
import type { Recoverable } from '../../actors/io/recovery.ts';
import { ReplayedTables } from '../../actors/io/replayed-tables.ts';
import type { Clock } from '../../runtime/clock.ts';
import { INLINE_LIMIT_MAX } from '../../runtime/config/bounds.ts';
import type { Config } from '../../runtime/config/schema.ts';

/** With room as a mount of this configuration has it, for files as large as any configuration keeps in memory. */
export class PrivateTree extends ReplayedTables implements Recoverable {
  /** Bytes that the log has of objects. */
  readonly redo: ObjectRedo;

  constructor({ memory }: Pick<Config, 'memory'>, clock: Clock) {
    const { max_files: maxFiles, budget } = memory;
    const redo = new ObjectRedo();
    super({ maxFiles, budget, inlineLimit: INLINE_LIMIT_MAX }, clock, redo);
    this.redo = redo;
  }
}
