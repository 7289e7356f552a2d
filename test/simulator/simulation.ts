/**
 * Runs workloads on a simulated store and cuts the power before each call to the disk: for some of the states that the
 * disk may then be in the store is mounted again, and what is there is compared with what may be there. Now and then
 * the power goes again while the store recovers, or is used on and cut once more. Everything follows from a plan.
 */

import { checkStore } from '../../cli/offline/check.ts';
import { describeFinding } from '../../cli/offline/findings.ts';
import { isCompressed } from '../../fuse/namespace/namespace.ts';
import type { Config } from '../../runtime/config/schema.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { seeded } from '../seed.ts';
import { type Fate, SimulatedDisk } from './disk.ts';
import { INODES, SLAB } from './memory.ts';
import { type Change, isChange, randomSteps, type Step } from './operations.ts';
import { type Found, Oracle } from './oracle.ts';
import { IDENTITY, Refusal, SimulatedStore, type StoreOptions } from './store.ts';
import { REFUSED } from './store-model.ts';
import { treeOf } from './tree-text.ts';

export interface Plan {
  /** What brings it back: see `npm run simulate -- --help`. */
  readonly name: string;
  readonly seed: number;
  readonly steps: readonly Step[];
  /** io actors beside io-0. */
  readonly others: number;
  readonly segmentBytes: number;
  /** Bytes of a large file that are logged between two fsyncs; undefined = as many as some writes have. */
  readonly logged?: number | undefined;
  /** Where the steps begin; a new store when there is none. */
  readonly base?: Base | undefined;
  /** Disks to try for each cut. */
  readonly images: number;
}

/** A store that was in use before the workload, and has all of it durable. */
export interface Base {
  readonly disk: SimulatedDisk;
  readonly oracle: Oracle;
  readonly now: number;
}

/** A mistake on purpose: in the disk that the store sees, or in what drives the store. */
export interface Bug {
  readonly planted?: StoreOptions['planted'];
  /** A workload that shows it, where random ones rarely do. */
  readonly steps?: readonly Step[];
  wrap?(disk: SimulatedDisk): Disk;
}

export class Violation extends Error {}

/** A store, its disk and what is due of it. */
interface Running {
  readonly disk: SimulatedDisk;
  readonly store: SimulatedStore;
  oracle: Oracle;
}

const CREATED = 1_700_000_000_000;
/** Of so many cuts one is followed by a cut of the recovery, and one by further use. */
const RECOVERY_CUTS = 6;
const USED_ON = 6;
/** And at one of so many only the process is killed. */
const KILLS = 10;
/** And one of so many is looked at by `vexfs check`. */
const CHECKED = 12;
/** Changes that are made after a recovery. */
const USED_ON_STEPS = 12;
/** Numbers of those changes: no workload is that long. */
const USED_ON_FIRST = 1_000_000;

/** Changes whose answer is the inode that they have made. */
const MAKES_ONE: ReadonlySet<Change['op']> = new Set(['create', 'symlink', 'unnamed']);

export class Simulation {
  /** Power cuts, and disks that were mounted after one. */
  cuts = 0;
  recoveries = 0;
  /** Hears of each change that was due to be made and failed. */
  onRefused: ((change: Change, errno: number) => void) | undefined;
  readonly #bug: Bug;

  constructor(bug: Bug = {}) {
    this.#bug = bug;
  }

  /** Throws a {@link Violation} that says which promise was broken, and how. */
  run(plan: Plan): void {
    const running = this.begin(plan);
    running.disk.onCall = () => this.#cut(plan, running);
    for (const [i, step] of plan.steps.entries()) this.step(plan, running, step, i + 1);
    this.#cut(plan, running);
    running.store.dispose();
  }

  /** A store that has what these steps have left, durably. */
  foundation(plan: Plan): Base {
    const running = this.begin(plan);
    for (const [i, step] of plan.steps.entries()) this.step(plan, running, step, i - plan.steps.length);
    const { disk, store, oracle } = running;
    const { now } = store;
    store.dispose();
    return { disk, oracle, now };
  }

  begin(plan: Plan): Running {
    if (plan.base === undefined) {
      const disk = new SimulatedDisk();
      const store = this.mount(plan, disk, CREATED);
      const oracle = new Oracle(CREATED, 0);
      oracle.unchanged(store.lastLsn);
      return { disk, store, oracle };
    }
    const disk = plan.base.disk.crash(0, 'everything');
    const store = this.mount(plan, disk, plan.base.now + 1000);
    const oracle = plan.base.oracle.resumed(foundIn(store), store.lastLsn);
    return { disk, store, oracle };
  }

  mount({ others, segmentBytes, logged }: Plan, disk: SimulatedDisk, now: number): SimulatedStore {
    const wrapped = this.#bug.wrap?.(disk) ?? disk;
    const { planted } = this.#bug;
    const options = { disk: wrapped, now, others, segmentBytes, logged };
    return new SimulatedStore(planted ? { ...options, planted } : options);
  }

  /** Takes one step, and compares the answer. */
  step(plan: Plan, running: Running, step: Step, n: number): void {
    const { store } = running;
    store.now += 1.25;
    if (isChange(step)) {
      this.#change(plan, running, step, n);
      store.expect(n);
    } else if (step.op === 'sync') store.sync();
    else if (step.op === 'run') store.run();
    else if (step.op === 'sleep') store.now += step.ms;
    else if (step.op === 'checkpoint') store.checkpoint(n);
    else if (step.op === 'backgroundCheckpoint') store.backgroundCheckpoint();
    else if (step.op === 'compress') store.compress(step.path);
    else if (step.op === 'sum') store.sum(step.path);
    else if (step.op === 'place') this.#place(running);
    else for (let i = 0; i < step.count; i++) store.step();
  }

  #place({ store, oracle }: Running): void {
    while (store.place()) if (store.lastLsn > oracle.lastLsn) oracle.unchanged(store.lastLsn);
  }

  #change(plan: Plan, { disk, store, oracle }: Running, change: Change, n: number): void {
    if (!oracle.accepts(change)) return;
    const due = oracle.expect(change, n, store.now);
    store.onWait = () => oracle.recordedFirst(store.lastLsn);
    const result = store.change(change, n);
    const isMade = due === 0 && MAKES_ONE.has(change.op) && result > 0;
    if (result === due || isMade || (due === REFUSED && result < 0)) {
      const { namespace } = store.tree;
      const inos = oracle.made.map((path) => (path === '' ? result : namespace.resolve(path)));
      oracle.succeeded({ change, n, now: store.now, inos }, store.lastLsn);
    } else if (result < 0 && (disk.fault !== undefined || Number.isFinite(disk.capacity))) {
      oracle.failed(store.lastLsn);
      if (due === 0) this.onRefused?.(change, -result);
    } else {
      throw new Violation(`${plan.name}: ${JSON.stringify(change)} gave ${result}, due is ${due}`);
    }
  }

  #cut(plan: Plan, { disk, store, oracle }: Running): void {
    this.cuts++;
    for (let i = 0; i < plan.images; i++) {
      const seed = (Math.imul(plan.seed + i, 2_654_435_761) ^ Math.imul(disk.calls, 40_503)) >>> 0;
      const where = `${plan.name}, cut before call ${disk.calls}, disk ${seed}`;
      this.check(plan, disk, oracle, store.acknowledged, store.now, where, seed, 0);
    }
  }

  /** Mounts what a crash of `disk` leaves, and looks whether it is one of the things that are due. */
  check(
    plan: Plan,
    disk: SimulatedDisk,
    oracle: Oracle,
    acknowledged: number,
    now: number,
    where: string,
    seed: number,
    depth: number,
    fate?: Fate,
  ): void {
    const random = seeded(seed ^ 0x5bd1e995);
    const image = fate === undefined && random(KILLS) === 0 ? disk.kill() : disk.crash(seed, fate);
    if (depth === 0 && random(RECOVERY_CUTS) === 0) {
      image.onCall = () => {
        if (random(3) > 0) return;
        this.cuts++;
        const again = `${where}, again before call ${image.calls} of the recovery`;
        this.check(plan, image, oracle, acknowledged, now, again, random(2 ** 31), 1);
      };
    }
    this.recoveries++;
    let store: SimulatedStore;
    try {
      store = this.mount(plan, image, now + 5000);
    } catch (error) {
      if (error instanceof Violation || !(error instanceof Error)) throw error;
      throw new Violation(`${where}: ${error instanceof Refusal ? error.message : error.stack}`);
    }
    image.onCall = undefined;
    const found = foundIn(store);
    const problem =
      oracle.violation(found, acknowledged) ??
      leftBehind(store) ??
      (random(CHECKED) === 0 ? checked(store) : undefined);
    if (problem !== undefined) throw new Violation(`${where}: ${problem}`);
    if (depth === 0 && random(USED_ON) === 0) {
      const next = { disk: image, store, oracle: oracle.resumed(found, store.lastLsn) };
      this.#useOn(plan, next, `${where}, used on`, random(2 ** 31));
    }
    store.dispose();
  }

  #useOn(plan: Plan, running: Running, where: string, seed: number): void {
    const steps = randomSteps(seed, USED_ON_STEPS, false);
    for (const [i, step] of steps.entries())
      this.step({ ...plan, name: where }, running, step, USED_ON_FIRST + i);
    const { disk, store, oracle } = running;
    this.cuts++;
    this.check(plan, disk, oracle, store.acknowledged, store.now, where, seed, 2, 'nothing');
  }
}

export function foundIn(store: SimulatedStore): Found {
  const { namespace, texts } = store.tree;
  const { text, inodes } = treeOf(namespace, texts);
  return {
    lastLsn: store.recovered.lastLsn,
    tree: text,
    read: (path) => store.read(inodes.get(path)!),
  };
}

/** What `vexfs check` finds in a store that nothing is wrong with: a sentence when it finds anything. */
function checked({ disk }: SimulatedStore): string | undefined {
  const memory = { max_files: INODES, budget: SLAB } as Config['memory'];
  const { findings } = checkStore(disk, IDENTITY, { memory }, () => {});
  return findings.isClean ? undefined : `vexfs check: ${findings.problems.map(describeFinding).join('; ')}`;
}

/** What a recovery after a power cut has to have dealt with: a sentence when it has not. */
function leftBehind({ disk, recovered, tree }: SimulatedStore): string | undefined {
  const damage = recovered.damage ?? recovered.damagedCheckpoints[0];
  if (damage !== undefined) return `damage in ${damage.file} at byte ${damage.offset}: ${damage.reason}`;
  if (tree.segmentIsMissing) return 'the segment of the checkpoint cannot be read';
  const sizes = new Map<number, number>();
  tree.forEachObject((id, size, stored) => {
    sizes.set(id, isCompressed(stored) ? Number.POSITIVE_INFINITY : size);
  });
  for (const directory of disk.list('objects') as string[]) {
    for (const name of disk.list(`objects/${directory}`) as string[]) {
      const path = `objects/${directory}/${name}`;
      const size = sizes.get(Number.parseInt(name, 16));
      const status = disk.stat(path);
      if (size === undefined) return `${path} belongs to nobody`;
      if (typeof status === 'number' || status.bytes > size) return `${path} is longer than its file`;
    }
  }
  for (const directory of ['log', 'checkpoint']) {
    const unfinished = (disk.list(directory) as string[]).find((name) => name.endsWith('.tmp'));
    if (unfinished !== undefined) return `${directory}/${unfinished} is left`;
  }
  return undefined;
}
