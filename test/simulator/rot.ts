/**
 * Bits of a store at rest that flip: wherever that is, either it is found, and the file named, or what is served is what
 * it would have been without. Contents of objects without checksums are exempt.
 */
import { seeded } from '../seed.ts';
import { randomSteps, type Step } from './operations.ts';
import { type Base, type Bug, foundIn, type Plan, Simulation, Violation } from './simulation.ts';
import { Refusal, type SimulatedStore } from './store.ts';

/** A large file at rest. */
const AT_REST: readonly Step[] = [
  { op: 'create', path: 'rest', kind: 'file' },
  { op: 'write', path: 'rest', offset: 0, length: 1700 },
  { op: 'sum', path: 'rest' },
  { op: 'place' },
];

/** The last fsync of a log has none after it that testifies that it was one: so what it vouches for is this alone. */
const WITNESS: readonly Step[] = [
  { op: 'sync' },
  { op: 'run' },
  { op: 'create', path: 'witness', kind: 'file' },
  { op: 'sync' },
  { op: 'run' },
];

export function rotPlan(n: number, seed: number): Plan {
  const own = (Math.imul(seed, 1_000_003) + Math.imul(n, 130_363)) >>> 0;
  const middle: Step[] = n % 2 === 0 ? [{ op: 'checkpoint' }] : [];
  const steps = [
    ...randomSteps(own, 30, false),
    ...middle,
    ...randomSteps(own + 1, 30, n % 4 > 1),
    ...AT_REST,
    ...WITNESS,
  ];
  const name = `--only rot --seed ${seed} --from ${n}`;
  return { name, seed: own, steps, others: 0, segmentBytes: own % 2 === 0 ? 1200 : 1 << 20, images: 1 };
}

export class Rot {
  /** Bits flipped; of those the ones that were found and named. */
  flips = 0;
  named = 0;
  /** Of those the ones in objects. */
  namedObjects = 0;
  readonly simulation: Simulation;

  constructor(bug: Bug = {}) {
    this.simulation = new Simulation(bug);
  }

  /** Flips bits of one store, about `count` of each file. Throws a {@link Violation}. */
  run(plan: Plan, count: number): void {
    const base = this.simulation.foundation(plan);
    const lastLsn = base.oracle.lastLsn;
    const random = seeded(plan.seed);
    for (const file of base.disk.files()) {
      if (file.startsWith('objects/')) {
        this.#spoil(plan, base, file);
        continue;
      }
      const { length } = base.disk.read(file);
      const step = Math.max(1, Math.floor(length / count));
      for (let at = random(step); at < length; at += 1 + random(2 * step - 1)) {
        this.#flip(plan, base, file, at, 1 << random(8), lastLsn);
      }
    }
  }

  /** An object with a flipped bit, and a shortened one: nothing that has checksums is read as something else. */
  #spoil(plan: Plan, base: Base, file: string): void {
    const { length } = base.disk.read(file);
    const random = seeded(plan.seed ^ length);
    if (length === 0) return;
    const at = random(length);
    for (const isShort of [false, true]) {
      this.flips++;
      const image = base.disk.crash(0, 'everything');
      const bytes = image.read(file).slice(0, isShort ? at : length);
      if (!isShort) bytes[at]! ^= 1 << random(8);
      image.rot(file, bytes);
      const store = this.simulation.mount(plan, image, base.now + 5000);
      const found = foundIn(store);
      const isSummed = store.hasSums(file);
      const problem = base.oracle.violation(found, base.oracle.lastLsn, { objects: isSummed });
      const where = `${plan.name}: ${file} ${isShort ? 'cut at' : 'with a bit flipped in'} byte ${at}`;
      if (problem !== undefined && isSummed) throw new Violation(`${where}: ${problem}`);
      if (store.damaged.some((named) => named !== file))
        throw new Violation(`${where}: named is ${store.damaged}`);
      if (store.damaged.includes(file)) this.namedObjects++;
      store.dispose();
    }
  }

  #flip(
    plan: Plan,
    { disk, oracle, now }: Base,
    file: string,
    at: number,
    bit: number,
    lastLsn: number,
  ): void {
    this.flips++;
    const where = `${plan.name}: byte ${at} of ${file} with bit ${bit} flipped`;
    const image = disk.crash(0, 'everything');
    const bytes = image.read(file).slice();
    bytes[at]! ^= bit;
    image.rot(file, bytes);
    let store: SimulatedStore;
    try {
      store = this.simulation.mount(plan, image, now + 5000);
    } catch (error) {
      if (!(error instanceof Refusal)) throw new Violation(`${where}: ${(error as Error).stack}`);
      if (!error.message.includes(file)) throw new Violation(`${where}: ${error.message}`);
      this.named++;
      return;
    }
    const named = namedIn(store);
    if (named.includes(file)) this.named++;
    const isLog = file.startsWith('log/');
    // A damaged log is served up to the damage. Without witness there is but the last record.
    const due = isLog ? (named.includes(file) ? 0 : lastLsn - 1) : lastLsn;
    const damaged = { text: named.includes(file), objects: isLog && named.includes(file) };
    const problem = oracle.violation(foundIn(store), due, damaged);
    if (problem !== undefined) throw new Violation(`${where}: ${problem}, named is ${named}`);
    if (named.some((name) => name !== file)) throw new Violation(`${where}: named is ${named}`);
    store.dispose();
  }
}

/** Files in which the mount has found damage. */
function namedIn({ recovered, tree }: SimulatedStore): string[] {
  const named = recovered.damagedCheckpoints.map(({ file }) => file);
  if (recovered.damage !== undefined) named.push(recovered.damage.file);
  if (tree.segmentIsMissing) named.push(tree.segment);
  return named;
}
