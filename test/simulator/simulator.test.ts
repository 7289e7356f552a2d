/** The simulator's short set; `npm run simulate` cuts at many more points. */
import { expect, test } from 'vitest';
import { testSeed } from '../seed.ts';
import { Faults, faultPlan } from './faults.ts';
import { FOUNDATION, type Step } from './operations.ts';
import { planOf } from './plans.ts';
import { Rot, rotPlan } from './rot.ts';
import { Simulation } from './simulation.ts';

const SEED = testSeed('simulated power cuts');

test('any three changes after an fsync, power cut before any disk call: what was synced is there, the rest a prefix', () => {
  const simulation = new Simulation();
  for (let n = 0; n < 40; n++) simulation.run(planOf('triples', n, SEED));
  expect(simulation.cuts).toBeGreaterThan(300);
}, 120_000);

test('long workloads, power cut before any disk call, also of the recovery: what was synced is there, the rest a prefix', () => {
  const simulation = new Simulation();
  for (let n = 0; n < 12; n++) simulation.run(planOf('random', n, SEED));
  expect(simulation.cuts).toBeGreaterThan(300);
}, 120_000);

test('any disk call fails, with EIO or for want of space: what was acknowledged is there, what failed has not happened', () => {
  const faults = new Faults();
  for (let n = 0; n < 3; n++) faults.run(faultPlan(n, SEED));
  expect(faults.failures).toBeGreaterThan(20);
}, 120_000);

test('a disk is full for a while from any call on: what is accepted is durable, what frees is accepted, and then all goes on', () => {
  const faults = new Faults();
  for (let n = 0; n < 2; n++) faults.runFull(faultPlan(n, SEED));
  expect(faults.filled).toBeGreaterThan(10);
}, 120_000);

test('a bit flips anywhere in a store at rest: its file is named, or nothing of what is served has changed', () => {
  const rot = new Rot();
  rot.run(rotPlan(SEED % 1000, SEED), 12);
  expect(rot.named).toBeGreaterThan(20);
  expect(rot.namedObjects).toBeGreaterThan(1);
}, 120_000);

test('a file is shortened and grows again, and the power goes before either is durable: it has its bytes as of the fsync', () => {
  const grow: Step[] = [
    { op: 'truncate', path: 'd/a', size: 250 },
    { op: 'write', path: 'd/a', offset: 600, length: 50 },
    { op: 'truncate', path: 'd/a', size: 700 },
    { op: 'zero', path: 'd/a', start: 100, end: 900 },
    { op: 'sync' },
    { op: 'run' },
  ];
  const simulation = new Simulation();
  const common = { name: 'shortened', others: 0, segmentBytes: 1 << 20, images: 4 };
  const base = simulation.foundation({ ...common, seed: 1, steps: FOUNDATION });
  for (let seed = 0; seed < 6; seed++) simulation.run({ ...common, seed, steps: grow, base });
});
