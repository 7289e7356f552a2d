/**
 * Several processes at once in a mount, and one file under everything that can be done to its bytes. Longer:
 * VEXFS_POSIX_ROUNDS=5000 (histories), VEXFS_POSIX_STEPS=100000 (of one file), VEXFS_POSIX_CHURN_S=60. VEXFS_POSIX_SEED=N
 * repeats a run.
 */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EINVAL, ENOENT } from '../../runtime/errno.ts';
import { Mounted, NO_FUSE, titled } from '../e2e/mounted.ts';
import { randomFrom, testSeed } from '../seed.ts';
import * as c from './calls.ts';
import { Exercise } from './exercise.ts';
import {
  type Call,
  DIRECTORY,
  type Event,
  isLinearizable,
  look,
  NAMES,
  type Name,
  now,
  run,
  SOURCE,
} from './history.ts';
import type { Order } from './history-client.ts';
import { make } from './place.ts';

const SEED = testSeed('processes on one tree');
const ROUNDS = Number(process.env.VEXFS_POSIX_ROUNDS ?? 50);
const STEPS = Number(process.env.VEXFS_POSIX_STEPS ?? 600);
const REST_EVERY = 200;
/** More than twice as long as the cold file's rest, and than the thread that looks for one takes. */
const UNTIL_COMPRESSED_MS = 3500;
const CHURN_MS = Number(process.env.VEXFS_POSIX_CHURN_S ?? 1) * 1000;
const CLIENTS = 3;
const CALLS = 4;
/** Inline at first and an object later; and mostly an object. */
const SIZES = [30_000, 400_000];

const KINDS = [
  'make',
  'link',
  'mkdir',
  'unlink',
  'rmdir',
  'look',
  'rename',
  'rename',
  'noreplace',
  'exchange',
] as const;

function anyCall(next: () => number, id: string): Call {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!;
  const kind = pick(KINDS);
  const name = pick(NAMES);
  if (kind === 'make') return { kind, name, id };
  if (kind === 'rename' || kind === 'noreplace' || kind === 'exchange')
    return { kind, name, to: pick(NAMES) };
  return { kind, name };
}

/** What is there when nobody changes it. */
function stateOf(directory: string): Map<Name, string> {
  const state = new Map<Name, string>();
  for (const name of NAMES) {
    const answer = look(join(directory, name));
    if (answer === -EINVAL) state.set(name, DIRECTORY);
    else if (answer !== -ENOENT) state.set(name, String(answer));
  }
  return state;
}

/** Lets processes make random calls in directories below `root`, and expects every history to be linearizable. */
async function expectLinearizable(root: string): Promise<void> {
  const program = new URL('./history-client.js', import.meta.url).pathname;
  const clients: ChildProcess[] = Array.from({ length: CLIENTS }, () => fork(program));
  const next = randomFrom(SEED);
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const directory = join(root, `round-${round}`);
      mkdirSync(join(directory, 'in'), { recursive: true });
      // Its own name is its content, so that every name of it shows whose it is.
      c.symlink(SOURCE, join(directory, SOURCE));
      const at = now() + 2;
      const events = await Promise.all(
        clients.map(async (client, who) => {
          const calls = Array.from({ length: CALLS }, (_, i) => anyCall(next, `${who}-${i}`));
          const answer = once(client, 'message', { signal: AbortSignal.timeout(20_000) });
          client.send({ directory, calls, at } satisfies Order);
          return ((await answer) as [Event[]])[0];
        }),
      );
      const final = stateOf(directory);
      const context = `seed ${SEED}, round ${round}: ${JSON.stringify(events)} ${JSON.stringify([...final])}`;
      expect(isLinearizable(events.flat(), final), context).toBe(true);
      const links = [...final.values()].filter((what) => what === SOURCE).length;
      expect(lstatSync(join(directory, SOURCE)).nlink, context).toBe(links + 1);
      const directories = [...final].filter(
        ([name, what]) => !name.includes('/') && what === DIRECTORY,
      ).length;
      expect(lstatSync(directory).nlink, context).toBe(3 + directories);
    }
  } finally {
    for (const client of clients) client.kill('SIGKILL');
  }
}

/** `rest`: what happens every now and then while nobody has the file open. */
function exercise(directory: string, rest?: () => void): void {
  for (const [i, size] of SIZES.entries()) {
    const steps = new Exercise(join(directory, `exercise-${i}`), size, SEED + i);
    try {
      for (let step = 0; step < STEPS; step++) {
        if (rest && step % REST_EVERY === REST_EVERY - 1) steps.rest(rest);
        steps.step();
      }
      steps.finish();
    } catch (error) {
      const last = steps.log.slice(-40).join('\n');
      throw new Error(
        `seed ${SEED}, size ${size}, step ${steps.log.length}: ${(error as Error).message}\n${last}`,
      );
    }
  }
}

/** A line for every name below `directory`: what stat says of it but for the access time, and its content. */
function describeTree(directory: string, path = ''): string[] {
  return readdirSync(join(directory, path))
    .sort()
    .flatMap((name) => {
      const inside = join(path, name);
      const at = join(directory, inside);
      const seen = c.lstat(at);
      const { ino, mode, nlink, uid, gid, size, rdev, mtimeNs } = seen;
      const line = [inside, ino, mode, nlink, uid, gid, size, rdev, mtimeNs].join(' ');
      if (seen.isDirectory()) return [line, ...describeTree(directory, inside)];
      const content = seen.isSymbolicLink()
        ? readlinkSync(at)
        : seen.isFile()
          ? digest(readFileSync(at))
          : '';
      return [`${line} ${content}`];
    });
}

function digest(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum = (Math.imul(sum, 31) + bytes[i]!) | 0;
  return sum;
}

/** Processes that change one tree at random, all at once. */
async function churn(root: string): Promise<void> {
  const program = new URL('./churn-client.js', import.meta.url).pathname;
  const runs = Array.from({ length: CLIENTS }, (_, i) =>
    promisify(execFile)(process.execPath, [program, root, `${SEED + i}`, `${CHURN_MS}`], {
      timeout: CHURN_MS + 30_000,
      killSignal: 'SIGKILL',
    }),
  );
  for (const { stdout } of await Promise.all(runs)) expect(Number(stdout)).toBeGreaterThan(0);
}

describe('histories', () => {
  const event = (call: Call, answer: Event['answer'], from: number, to: number): Event => ({
    call,
    answer,
    from,
    to,
  });

  test('are told apart: an order that explains the answers, and none', () => {
    const one = event({ kind: 'make', name: 'a', id: '1' }, 0, 0, 2);
    const other = event({ kind: 'make', name: 'a', id: '2' }, 0, 1, 3);
    const moved = event({ kind: 'rename', name: 'a', to: 'b' }, 0, 1, 3);
    expect(isLinearizable([one, moved], run(new Map([['a', '1']]), moved.call)[1])).toBe(true);
    expect(isLinearizable([one, other], new Map([['a', '1']]))).toBe(false);
    expect(isLinearizable([one, moved], new Map([['a', '1']]))).toBe(false);
    const late = event({ kind: 'look', name: 'a' }, -ENOENT, 4, 5);
    expect(isLinearizable([one, late], new Map([['a', '1']]))).toBe(false);
    expect(isLinearizable([one, { ...late, from: 1 }], new Map([['a', '1']]))).toBe(true);
  });
});

describe('a plain directory', () => {
  let directory = '';
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'vexfs-posix-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test('calls on names that several processes make at once are linearizable', () =>
    expectLinearizable(directory));
  test('one file under every operation on its bytes has the bytes it should', () => exercise(directory));
});

const ALL = process.env.VEXFS_POSIX === 'all' ? NO_FUSE : 'VEXFS_POSIX is not "all"';

describe.skipIf(ALL)(
  titled('one file under every operation on its bytes has the bytes it should', ALL),
  () => {
    const compressed = (_fs: Mounted) =>
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, UNTIL_COMPRESSED_MS);
    const mountedAgain = (fs: Mounted) => {
      fs.unmount();
      fs.mount();
    };

    test.each([
      {
        when: 'when it is compressed in between',
        config: '[store]\ncompress = "cold"\ncompress_after_s = 1\n',
        rest: compressed,
      },
      { when: 'when it is mounted again in between', config: '', rest: mountedAgain },
    ])('$when', { timeout: 600_000 }, ({ config, rest }) => {
      const fs = new Mounted(config);
      try {
        fs.mount();
        exercise(fs.dir, () => rest(fs));
      } finally {
        fs.dispose();
      }
    });
  },
);

const MOUNTS = [
  { how: 'with two fuse actors', config: '[workers]\nfuse = 2\n' },
  { how: 'with writeback', config: '[fuse]\nwriteback = true\n' },
];

describe.each(MOUNTS.slice(0, process.env.VEXFS_POSIX === 'all' ? MOUNTS.length : 1))(
  'a mount, $how',
  ({ config }) => {
    describe.skipIf(NO_FUSE)(titled('used by several processes', NO_FUSE), () => {
      let fs: Mounted;
      beforeAll(() => {
        fs = new Mounted(config);
        fs.mount();
        chmodSync(fs.dir, 0o755);
      });
      afterAll(() => fs?.dispose());

      test('calls on names that several processes make at once are linearizable', () =>
        expectLinearizable(fs.dir));
      test('one file under every operation on its bytes has the bytes it should', () => exercise(fs.dir));

      test('a tree that several processes changed at random is whole, and the same after a check and a mount', async () => {
        const root = join(fs.dir, 'churn');
        mkdirSync(root);
        make('regular', join(root, 'first'));
        await churn(root);
        const before = describeTree(root);
        fs.unmount();
        fs.ok(['check', fs.store]);
        fs.mount();
        expect(describeTree(root)).toEqual(before);
      });
    });
  },
);
