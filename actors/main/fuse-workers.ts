import { UserError } from '../../runtime/user-error.ts';
import { assignQueues } from '../connection.ts';
import type { Context } from '../context.ts';
import { isPresent, presentActors } from '../presence.ts';
import type { ActorPlan } from '../topology.ts';
import type { Workers } from './workers.ts';

/** What is needed of the supervisor. */
export interface Staff {
  add(actor: ActorPlan): Promise<void>;
  retire(actor: ActorPlan): Promise<void>;
}

/** The fuse actors of a mount that serves. The first is always there; the last is the first to go. */
export class FuseWorkers implements Workers {
  readonly #context: Context;
  readonly #staff: Staff;
  /** Half a sentence that says why their number cannot change now, or undefined. */
  readonly #obstacle: () => string | undefined;

  constructor(context: Context, staff: Staff, obstacle: () => string | undefined) {
    this.#context = context;
    this.#staff = staff;
    this.#obstacle = obstacle;
  }

  get count(): number {
    return presentActors(this.#context, 'fuse').length;
  }

  get room(): number {
    return this.#context.topology.ofKind('fuse').length;
  }

  mustBeFree(): void {
    const obstacle = this.#obstacle();
    if (obstacle !== undefined) throw new UserError(`workers.fuse cannot change now: ${obstacle}`);
  }

  async resize(count: number): Promise<void> {
    const { topology, arena, logger } = this.#context;
    const actors = topology.ofKind('fuse');
    for (const actor of actors.slice(0, count)) {
      if (isPresent(arena, actor)) continue;
      await this.#staff.add(actor);
      logger.info({ added: actor.name }, 'a fuse actor was added');
    }
    assignQueues(
      this.#context,
      actors.slice(0, count).flatMap((actor) => (isPresent(arena, actor) ? [actor.index] : [])),
    );
    for (const actor of actors.slice(count).reverse()) {
      if (!isPresent(arena, actor)) continue;
      await this.#staff.retire(actor);
      logger.info({ retired: actor.name }, 'a fuse actor was retired');
    }
  }
}
