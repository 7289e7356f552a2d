/** io actors end at any step, again and again, and successors go on in the memory they left. */
import { expect, test } from 'vitest';
import { type LogOutcome, replayLog } from '../../actors/io/log-recovery.ts';
import { seeded, testSeed } from '../seed.ts';
import type { FaultyDisk } from './faulty-disk.ts';
import { uuid } from './sample-log.ts';
import { checkObjects, Death, FUSE, type ToyOptions, ToyStore } from './toy-store.ts';

const SEED = testSeed('deaths of io actors');

interface Workload {
  readonly operations: number;
  readonly checkpoint: boolean;
  /** Half of the fsyncs come to a fuse actor that commits itself. */
  readonly isFuse: boolean;
}

/** Whether a thread lives through `act`; else `onDeath` may do whatever the supervisor does. */
function survives(act: () => void, onDeath: () => void): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (!(error instanceof Death)) throw error;
    onDeath();
    return false;
  }
}

function runWith(store: ToyStore, onDeath: () => void): void {
  while (!survives(() => store.run(), onDeath));
}

/** Whether the successor lived long enough to begin. */
function hasSucceeded(store: ToyStore): boolean {
  try {
    store.succeed();
    return true;
  } catch (error) {
    if (error instanceof Death) return false;
    throw error;
  }
}

/** The same operations whoever ends meanwhile; at the end everything is asked to be durable. */
function drive(store: ToyStore, { operations, checkpoint, isFuse }: Workload, onDeath: () => void): void {
  const random = seeded(5);
  while (store.state.operations < operations) {
    const n = store.state.operations;
    // What a fuse actor commits itself has no object that is to be made durable.
    store.operate(isFuse && n % 6 > 1 ? 3 * random(300) : random(1000));
    if (n % 4 === 3 && isFuse && n % 8 === 3) store.syncHere();
    else if (n % 4 === 3) store.sync();
    if (isFuse && n % 6 === 4) survives(() => store.expectHere(), onDeath);
    if (n % 11 === 10) store.now += 1500;
    if (checkpoint && n === 12) store.checkpoint(n);
    // A checkpoint is written while nobody changes anything.
    if (n % 3 !== 1 || n === 12) runWith(store, onDeath);
  }
  store.sync();
  store.flush(operations);
  runWith(store, onDeath);
}

/** Numbers of the operations in the log, in its order: of an operation with several records once. */
function operationsIn(disk: FaultyDisk): { operations: number[]; outcome: LogOutcome } {
  const operations: number[] = [];
  const outcome = replayLog(disk, uuid, 0, (type, _u8, u32, _f64, offset) => {
    const operation = u32[offset >> 2]!;
    if (type < 100 && operations.at(-1) !== operation) operations.push(operation);
  });
  if (typeof outcome === 'number') throw new Error(`errno ${-outcome}`);
  return { operations, outcome };
}

function stepsOf(options: ToyOptions, workload: Workload): number {
  const store = new ToyStore(options);
  drive(store, workload, () => {
    throw new Error('nobody ends');
  });
  return store.mortality.steps;
}

/** Who asked for fsyncs, in the order that they were asked in. */
const answered = ({ replies }: ToyStore): number[] =>
  replies.map(({ unique }) => unique).sort((a, b) => a - b);

for (const options of [{ others: 0 }, { others: 2 }, { others: 0, fuse: true }, { others: 2, fuse: true }]) {
  const isFuse = options.fuse ?? false;
  const actors = `${1 + options.others} io actors${isFuse ? ', a fuse actor that commits' : ''}`;
  const workload = { operations: 24, checkpoint: false, isFuse };
  test(`an io actor ends before any of its steps: each transaction is in the log once, each fsync is answered once and holds (${actors})`, () => {
    const steps = stepsOf(options, workload);
    const random = seeded(SEED);
    const died = new Array<number>(FUSE + 1).fill(0);
    for (let diesAt = 1; diesAt <= steps; diesAt++) {
      const store = new ToyStore(options);
      store.mortality.diesAt = diesAt;
      store.mortality.tornFraction = random(4) / 3;
      let acknowledged = 0;
      let atDeath: FaultyDisk | undefined;
      drive(store, workload, () => {
        atDeath = store.disk.crash(random(2 ** 31));
        acknowledged = store.acknowledged;
        died[store.succeed()]!++;
      });
      expect(store.replies.every(({ errno }) => errno === 0)).toBe(true);
      expect(answered(store)).toEqual(store.replies.map((_, i) => i + 1));
      expect(store.replies).toHaveLength(workload.operations / 4 + 1);
      expect(store.done.filter(({ ticket }) => ticket === workload.operations)).toContainEqual({
        ticket: workload.operations,
        errno: 0,
      });
      const { operations, outcome } = operationsIn(store.disk);
      expect(operations).toEqual(Array.from({ length: workload.operations }, (_, n) => n + 1));
      expect(outcome.damage).toBeUndefined();
      // The power goes: at the death, and when all is done.
      const then = new ToyStore({ ...options, disk: atDeath! });
      expect(then.state.operations).toBeGreaterThanOrEqual(acknowledged);
      const after = new ToyStore({ ...options, disk: store.disk.crash(random(2 ** 31)) });
      expect(after.state.operations).toBe(workload.operations);
      checkObjects(after, workload.operations);
    }
    console.log(
      `${steps} steps; deaths of io-0, io-1, io-2, fuse: ${[...died.slice(0, 3), died[FUSE]].join(', ')}`,
    );
    expect(died[0]).toBeGreaterThan(isFuse ? 20 : 50);
    if (options.others > 0) expect(Math.min(died[1]!, died[2]!)).toBeGreaterThan(5);
    if (isFuse) expect(died[FUSE]).toBeGreaterThan(10);
  });

  test(`io actors end again and again, also with checkpoints: nothing acknowledged is lost (${actors})`, () => {
    const random = seeded(SEED ^ 1);
    let deaths = 0;
    for (let run = 0; run < 80; run++) {
      const store = new ToyStore(options);
      const some = { operations: 30, checkpoint: true, isFuse };
      const { mortality } = store;
      mortality.diesAt = 1 + random(40);
      drive(store, some, () => {
        for (let alive = false; !alive; ) {
          deaths++;
          const power = new ToyStore({ ...options, disk: store.disk.crash(random(2 ** 31)) });
          expect(power.state.operations).toBeGreaterThanOrEqual(store.acknowledged);
          mortality.diesAt = mortality.steps + 1 + random(random(2) === 0 ? 5 : 60);
          mortality.tornFraction = random(4) / 3;
          alive = hasSucceeded(store);
        }
      });
      expect(answered(store)).toEqual(store.replies.map((_, i) => i + 1));
      expect(store.replies.every(({ errno }) => errno === 0)).toBe(true);
      expect(store.done).toContainEqual({ ticket: 12, errno: 0 });
      const after = new ToyStore({ ...options, disk: store.disk.crash(random(2 ** 31)) });
      expect(after.recovered.damage).toBeUndefined();
      expect(after.state.operations).toBe(some.operations);
      checkObjects(after, some.operations);
    }
    console.log(`${deaths} deaths`);
    expect(deaths).toBeGreaterThan(200);
  });
}

test('a ticket that is asked again is answered the same, and its checkpoint is written once', () => {
  const store = new ToyStore();
  store.operate(3);
  store.checkpoint(1);
  store.run();
  expect(store.done).toEqual([{ ticket: 1, errno: 0 }]);
  store.succeed();
  store.checkpoint(1);
  store.run();
  expect(store.done).toEqual([
    { ticket: 1, errno: 0 },
    { ticket: 1, errno: 0 },
  ]);
  expect(store.checkpoints).toBe(1);
});
