import { type ActorState, DRILL_CRASH, DRILL_HANG, DRILL_MEMORY } from './actor-state.ts';

/** Numbers in one piece of memory that a drill takes: small, so that the engine can stop it in time. */
const PIECE = 10_000;

/** Run at every turn of a loop: has the fault that was ordered for this actor, if one was. */
export function drill(state: ActorState): void {
  const fault = state.takeDrill();
  if (fault === DRILL_CRASH) throw new Error('a drill: told to crash');
  if (fault === DRILL_HANG) for (;;);
  if (fault === DRILL_MEMORY) useUpMemory();
}

function useUpMemory(): never {
  const hoard: number[][] = [];
  for (;;) hoard.push(new Array(PIECE).fill(hoard.length + 0.5));
}
