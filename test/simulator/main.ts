/**
 * `npm run simulate`: cuts the power of a simulated store at many points, lets calls to its disk fail and its bits flip,
 * and says when a promise was broken. What it tries follows from the seed and the number of the workload; a broken
 * promise is printed with the options that bring it back.
 */
import { parseArgs } from 'node:util';
import { Faults, faultPlan } from './faults.ts';
import { planOf } from './plans.ts';
import { Rot, rotPlan } from './rot.ts';
import { Simulation, Violation } from './simulation.ts';

const USAGE = `npm run simulate -- [--cuts N] [--workloads N] [--seed N] [--only KIND] [--from N]

  --cuts N       stop after so many power cuts (default 120000)
  --workloads N  stop after so many workloads
  --seed N       default: from the clock; it is printed
  --only KIND    triples: power cuts, any three changes after an fsync; random: power cuts, long workloads;
                 faults: calls to the disk that fail; full: a disk that is full for a while; rot: bits that flip. Default: all, in turn
  --from N       begin with this workload: to go on where a run was stopped, or to bring a finding back
`;
const PROGRESS_MS = 10_000;
/** Bits flipped in each file of a store. */
const FLIPS = 10;
/** Of so many workloads one is of failing calls, and one of flipped bits: they take long. */
const OTHERS_EVERY = 40;

const { values } = parseArgs({
  options: {
    cuts: { type: 'string', default: '120000' },
    workloads: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string' },
    from: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});
const KINDS = ['triples', 'random', 'faults', 'full', 'rot'];
if (values.help || (values.only !== undefined && !KINDS.includes(values.only))) {
  console.log(USAGE);
  process.exit(values.help ? 0 : 2);
}

const seed = Number(values.seed);
const from = Number(values.from);
const simulation = new Simulation();
const faults = new Faults();
const rot = new Rot();
const started = performance.now();

function kindOf(n: number): string {
  if (values.only !== undefined) return values.only;
  if (n % OTHERS_EVERY === 7) return 'faults';
  if (n % OTHERS_EVERY === 17) return 'full';
  if (n % OTHERS_EVERY === 27) return 'rot';
  return n % 2 === 0 ? 'triples' : 'random';
}

function run(n: number): void {
  const kind = kindOf(n);
  if (kind === 'faults') faults.run(faultPlan(n, seed));
  else if (kind === 'full') faults.runFull(faultPlan(n, seed));
  else if (kind === 'rot') rot.run(rotPlan(n, seed), FLIPS);
  else simulation.run(planOf(kind === 'triples' ? kind : 'random', n, seed));
}

function tell(n: number): void {
  const { cuts, recoveries } = simulation;
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(
    `seed ${seed}, workload ${n}: ${cuts} power cuts, ${recoveries} recoveries, ${faults.failures} failed calls, ${rot.flips} flipped bits (${rot.named} named), ${seconds} s`,
  );
}

console.log(`seed ${seed}, from workload ${from}`);
let n = from;
try {
  for (
    let told = started;
    simulation.cuts < Number(values.cuts) && n < from + Number(values.workloads);
    n++
  ) {
    run(n);
    if (performance.now() - told < PROGRESS_MS) continue;
    told = performance.now();
    tell(n);
  }
  tell(n);
  console.log('no promise was broken');
} catch (error) {
  if (!(error instanceof Violation)) throw error;
  console.error(`BROKEN: npm run simulate -- ${error.message}`);
  process.exitCode = 1;
}
