/** The workloads that are simulated, by kind and number. */
import {
  COMPRESSED_FOUNDATION,
  FOUNDATION,
  randomSteps,
  type Step,
  SUMMED_FOUNDATION,
  TRIPLES,
  triple,
} from './operations.ts';
import { type Base, type Plan, Simulation } from './simulation.ts';

/** `triples`: any three changes after an fsync; `random`: long workloads, every fifth with checkpoints. */
export type Kind = 'triples' | 'random';

const base = new Map<string, Base>();

/** The large file plain, compressed, and with checksums. */
const FOUNDATIONS: readonly (readonly Step[])[] = [FOUNDATION, COMPRESSED_FOUNDATION, SUMMED_FOUNDATION];

function foundation(others: number, form: number): Base {
  const key = `${others} ${form}`;
  const known = base.get(key);
  if (known !== undefined) return known;
  const steps = FOUNDATIONS[form]!;
  const plan = { name: 'foundation', seed: 0, steps, others, segmentBytes: 1 << 20, images: 0 };
  const made = new Simulation().foundation(plan);
  base.set(key, made);
  return made;
}

/** Workload `n` of a kind; `seed` decides what the disk does and what a random workload is. */
export function planOf(kind: Kind, n: number, seed: number): Plan {
  const name = `--only ${kind} --seed ${seed} --from ${n}`;
  const others = n % 3 === 2 ? 2 : 0;
  const own = (Math.imul(seed, 1_000_003) + Math.imul(n, 7919)) >>> 0;
  if (kind === 'triples') {
    const steps = triple((n * 9973) % TRIPLES);
    const logged = n % 4 === 3 ? 0 : undefined;
    const begun = foundation(others, n % 5 === 4 ? 1 : n % 5 < 2 ? 2 : 0);
    return { name, seed: own, steps, others, segmentBytes: 1 << 20, logged, base: begun, images: 2 };
  }
  const length = 40 + (own % 7) * 20;
  const steps = randomSteps(own, length, own % 5 === 0);
  const logged = own % 6 === 5 ? 0 : undefined;
  return { name, seed: own, steps, others, segmentBytes: own % 2 === 0 ? 1500 : 6000, logged, images: 1 };
}
