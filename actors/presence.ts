/**
 * Which of the actors that there is room for are there. Main decides, in the actors' rows (runtime/scheduling/actor-state.ts,
 * invariant 5); everybody else looks, each time anew.
 */
import type { Arena } from '../runtime/memory/arena.ts';
import { ActorState } from '../runtime/scheduling/actor-state.ts';
import type { Context } from './context.ts';
import { ACTOR_STATES } from './regions.ts';
import type { ActorKind, ActorPlan } from './topology.ts';

export function isPresent(arena: Arena, { slot }: ActorPlan): boolean {
  return !new ActorState(arena.region(ACTOR_STATES), slot).isReserved;
}

/** By main: before the first thread of the actor starts, or after its last has ended. */
export function setPresent(arena: Arena, { slot }: ActorPlan, isThere: boolean): void {
  new ActorState(arena.region(ACTOR_STATES), slot).reserve(!isThere, Date.now());
}

/** When the list of actors that are there changed last, ms since the epoch. */
export function presenceChangedAt({ arena, topology }: Context): number {
  const region = arena.region(ACTOR_STATES);
  return topology.actors.reduce(
    (last, { slot }) => Math.max(last, new ActorState(region, slot).reservedAt),
    0,
  );
}

/** The actors that are there, of one kind or of all, in the order of the topology. */
export function presentActors({ arena, topology }: Context, kind?: ActorKind): ActorPlan[] {
  const actors = kind === undefined ? topology.actors : topology.ofKind(kind);
  return actors.filter((actor) => isPresent(arena, actor));
}

/** Those that are there or have been: whose counters a total must have. */
export function startedActors({ arena, topology }: Context, kind: ActorKind): ActorPlan[] {
  const region = arena.region(ACTOR_STATES);
  return topology.ofKind(kind).filter(({ slot }) => {
    const state = new ActorState(region, slot);
    return !state.isReserved || state.incarnation > 0;
  });
}
