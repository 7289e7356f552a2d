/**
 * Calls to the disk that fail, one of a workload after the other: with EIO once, or for want of space from then on. What
 * was acknowledged stays, what failed has not happened, reading goes on, and the next mount finds what is due.
 */
import { EIO, ENOSPC } from '../../runtime/errno.ts';
import { randomSteps } from './operations.ts';
import { type Bug, foundIn, type Plan, Simulation, Violation } from './simulation.ts';
import { Refusal } from './store.ts';
import { difference } from './tree-text.ts';

/** What needs space. */
const GROWING = new Set(['create', 'mkdir', 'pwrite', 'allocate']);
/** Changes that free space, or are needed to. */
const FREEING: ReadonlySet<string> = new Set(['remove', 'rename', 'removexattr', 'chmod']);
/** What a full disk may still have, bytes. */
const MOST_LEFT = 3000;
/** Long enough for the store to see that there is room again, milliseconds. */
const LATER_MS = 2000;

export function faultPlan(n: number, seed: number): Plan {
  const own = (Math.imul(seed, 1_000_003) + Math.imul(n, 104_729)) >>> 0;
  const steps = randomSteps(own, 40, own % 3 === 0);
  return {
    name: `--only faults --seed ${seed} --from ${n}`,
    seed: own,
    steps,
    others: own % 2 === 0 ? 0 : 2,
    segmentBytes: own % 5 < 2 ? 1200 : 1 << 20,
    images: 1,
  };
}

export class Faults {
  /** Calls that failed. */
  failures = 0;
  /** Times that the disk was full for a while. */
  filled = 0;
  readonly simulation: Simulation;

  constructor(bug?: Bug) {
    this.simulation = new Simulation(bug);
  }

  /** Throws a {@link Violation}. */
  run(plan: Plan): void {
    for (let call = 1; this.#fails(plan, call); call++);
  }

  /** Lets the `call`th call after the mount fail; false when there are not so many. */
  #fails(plan: Plan, call: number): boolean {
    const errno = call % 2 === 0 ? EIO : ENOSPC;
    const running = this.simulation.begin(plan);
    const { disk, store, oracle } = running;
    const at = disk.calls + call;
    disk.fault = (name) => {
      if (errno === EIO) return disk.calls === at ? EIO : 0;
      return disk.calls >= at && GROWING.has(name) ? ENOSPC : 0;
    };
    for (const [i, step] of plan.steps.entries()) this.simulation.step(plan, running, step, i + 1);
    const isReached = disk.calls >= at;
    if (isReached) {
      this.failures++;
      const where = `${plan.name}, call ${at} fails with errno ${errno}`;
      // Files without a name, that are open, are there as well.
      const [tree, due] = [foundIn(store).tree, oracle.tree].map((text) => text.replace(/^\d+ inodes$/m, ''));
      if (tree !== due) throw new Violation(`${where}: the tree ${difference(due!, tree!)}`);
      if (store.status.errno !== 0 && store.failedSyncs.length === 0) {
        throw new Violation(`${where}: the store has failed, and no fsync says so`);
      }
      if (store.status.errno === 0 && errno === EIO && store.failedSyncs.length > 0) {
        throw new Violation(`${where}: an fsync has failed, and the store goes on`);
      }
      if (store.status.errno !== 0 && errno === ENOSPC) {
        throw new Violation(`${where}: the store has failed for want of space`);
      }
      for (const fate of ['everything', 'nothing', undefined] as const) {
        this.simulation.check(plan, disk, oracle, store.acknowledged, store.now, where, call, 2, fate);
      }
      this.#failingMount(plan, running, where, call);
    }
    store.dispose();
    return isReached;
  }

  /**
   * The disk is full from some call on, as if others had filled it, until the workload is half done or over. Everything that is
   * accepted is durable when an fsync says so, what frees is accepted, the store does not fail, and afterwards takes everything.
   */
  runFull(plan: Plan): void {
    for (let call = 1; this.#isFullFrom(plan, call); call += 3);
  }

  #isFullFrom(plan: Plan, call: number): boolean {
    const running = this.simulation.begin(plan);
    const { disk, store, oracle } = running;
    const at = disk.calls + call;
    const where = `${plan.name.replace('faults', 'full')}, the disk is full from call ${at} on`;
    const ends = plan.steps.length >> (call & 1);
    disk.onCall = () => {
      if (disk.calls === at) disk.capacity = disk.used + ((call * 97) % MOST_LEFT);
    };
    this.simulation.onRefused = (change, errno) => {
      if (FREEING.has(change.op)) throw new Violation(`${where}: ${change.op} is refused (errno ${errno})`);
    };
    for (const [i, step] of plan.steps.entries()) {
      if (i === ends) this.#spaceReturns(running);
      this.simulation.step(plan, running, step, i + 1);
    }
    const isReached = disk.calls >= at;
    this.#spaceReturns(running);
    this.simulation.onRefused = undefined;
    const last = plan.steps.length + 1;
    this.simulation.step(plan, running, { op: 'create', path: 'last', kind: 'file' }, last);
    store.sync();
    store.run();
    if (store.status.errno !== 0) throw new Violation(`${where}: the store has failed`);
    if (store.failedSyncs.length > 0) throw new Violation(`${where}: an fsync has failed`);
    if (store.acknowledged !== store.lastLsn) throw new Violation(`${where}: an fsync is not answered`);
    this.simulation.check(plan, disk, oracle, store.acknowledged, store.now, where, call, 2, 'nothing');
    if (isReached) this.filled++;
    store.dispose();
    return isReached;
  }

  /** From now on nothing is refused. */
  #spaceReturns({ disk, store }: ReturnType<Simulation['begin']>): void {
    disk.onCall = undefined;
    disk.capacity = Number.POSITIVE_INFINITY;
    store.now += LATER_MS;
    store.run();
  }

  /** A mount after that whose own call fails is refused or serves what is due; the next one serves it. */
  #failingMount(plan: Plan, running: ReturnType<Simulation['begin']>, where: string, seed: number): void {
    const { disk, store, oracle } = running;
    const image = disk.crash(seed);
    const failing = 1 + (seed % 12);
    image.fault = () => (image.calls === failing ? EIO : 0);
    try {
      const mounted = this.simulation.mount(plan, image, store.now + 5000);
      const problem = oracle.violation(foundIn(mounted), store.acknowledged);
      if (problem !== undefined)
        throw new Violation(`${where}, call ${failing} of the mount too: ${problem}`);
      mounted.dispose();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
    image.fault = undefined;
    const then = `${where}, call ${failing} of the next mount too`;
    this.simulation.check(
      plan,
      image,
      oracle,
      store.acknowledged,
      store.now + 6000,
      then,
      seed,
      2,
      'nothing',
    );
  }
}
