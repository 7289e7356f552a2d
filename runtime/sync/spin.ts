/** How long a thread spins before it parks: nothing is gained by spinning while the other side cannot run. */
import { availableParallelism } from 'node:os';
import { SPIN_LOADS } from '../config/bounds.ts';

/** Atomic loads to try before parking; 0 when this process may use one CPU only. */
export const DEFAULT_SPINS = availableParallelism() > 1 ? SPIN_LOADS : 0;
