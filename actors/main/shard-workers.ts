import { UserError } from '../../runtime/user-error.ts';
import type { Context } from '../context.ts';
import type { ActorPlan } from '../topology.ts';
import type { Staff } from './fuse-workers.ts';
import type { MainRequests } from './requests.ts';
import { Resharding } from './resharding.ts';
import type { Workers } from './workers.ts';

/** The shards of a mount that serves. Files move to another number of them in the background. */
export class ShardWorkers implements Workers {
  readonly #context: Context;
  readonly #resharding: Resharding;
  /** Half a sentence that says why their number cannot change now, or undefined. */
  readonly #obstacle: () => string | undefined;

  constructor(context: Context, staff: Staff, requests: MainRequests, obstacle: () => string | undefined) {
    this.#context = context;
    this.#obstacle = obstacle;
    const plan = (index: number): ActorPlan => context.topology.actor(`shard-${index}`);
    this.#resharding = new Resharding(context, {
      async start(index) {
        await staff.add(plan(index));
        // A row that was used before: its thread waits to be told what it holds, which is nothing.
        await requests.toldAgain(index);
        context.logger.info({ added: plan(index).name }, 'a shard was added');
      },
      async retire(index) {
        await staff.retire(plan(index));
        context.logger.info({ retired: plan(index).name }, 'a shard was retired');
      },
      isHeld: () => requests.holdsRoute,
    });
    requests.routeDone = (word, shard) => this.#resharding.done(word, shard);
  }

  get count(): number {
    return this.#resharding.wanted;
  }

  get room(): number {
    return this.#context.topology.ofKind('shard').length;
  }

  mustBeFree(): void {
    const obstacle = this.#obstacle();
    if (obstacle !== undefined) throw new UserError(`workers.shards cannot change now: ${obstacle}`);
  }

  /** Resolves when the shards that are added run; their files follow. */
  resize(count: number): Promise<void> {
    return this.#resharding.begin(count);
  }

  /** Nothing moves any more. Resolves when none is being added or retired. */
  stop(): Promise<void> {
    return this.#resharding.stop();
  }
}
