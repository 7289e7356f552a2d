import { expect, test } from 'vitest';
import { Faults, faultPlan } from './faults.ts';
import { planOf } from './plans.ts';
import { PLANTED, PLANTED_ON_FULL_DISK } from './planted-bugs.ts';
import { Rot, rotPlan } from './rot.ts';
import { type Bug, type Plan, Simulation, Violation } from './simulation.ts';

/** Repeatable: whether a mistake is found is a property of the simulator. */
const SEED = 15;
const WORKLOADS = 200;

function planFor({ steps }: Bug, n: number): Plan {
  const random = planOf('random', 2 * n + 1, SEED);
  return steps === undefined ? random : { ...random, steps };
}

/** The workload at which a promise was seen to be broken, and how; undefined = all have gone well. */
function finding(bug: Bug, workloads: number): { workload: number; message: string } | undefined {
  const simulation = new Simulation(bug);
  for (let n = 0; n < workloads; n++) {
    try {
      simulation.run(planFor(bug, n));
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      return { workload: n, message: error.message };
    }
  }
  return undefined;
}

test.each(Object.entries(PLANTED))(
  'planted, and found: %s',
  (_name, bug) => {
    const found = finding(bug, WORKLOADS);
    expect(found).toBeDefined();
    // The same workloads say nothing of a store without it.
    const { steps } = bug;
    expect(finding(steps ? { steps } : {}, Math.min(found!.workload + 1, 10))).toBeUndefined();
  },
  120_000,
);

test('planted, and found: reading does not compare with checksums', () => {
  expect(() => new Rot({ planted: { comparesNothing: true } }).run(rotPlan(1, SEED), 1)).toThrow(Violation);
  expect(() => new Rot().run(rotPlan(1, SEED), 1)).not.toThrow();
}, 120_000);

test.each(Object.entries(PLANTED_ON_FULL_DISK))(
  'planted, and found when the disk is full: %s',
  (_name, bug) => {
    const run = (faults: Faults): void => {
      for (let n = 0; n < 3; n++) faults.runFull(faultPlan(n, SEED));
    };
    expect(() => run(new Faults(bug))).toThrow(Violation);
  },
);
