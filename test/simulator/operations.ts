/**
 * What a simulated workload consists of: changes as programs make them through a mount, by path, and the steps of time
 * and of the io actors between them. Generated from a seed, or enumerated.
 */
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../fuse/namespace/namespace.ts';
import { ACCESS, DEFAULT } from '../namespace/list-model.ts';
import { seeded } from '../seed.ts';

/** A change of the tree. Offsets and sizes in bytes. */
export type Change =
  | { readonly op: 'create'; readonly path: string; readonly kind: 'file' | 'directory' | 'fifo' }
  | { readonly op: 'symlink'; readonly path: string; readonly target: string }
  | { readonly op: 'link'; readonly path: string; readonly to: string }
  | { readonly op: 'remove'; readonly path: string; readonly directory: boolean }
  | { readonly op: 'rename'; readonly path: string; readonly to: string; readonly flags: number }
  | { readonly op: 'write'; readonly path: string; readonly offset: number; readonly length: number }
  | { readonly op: 'truncate'; readonly path: string; readonly size: number }
  | { readonly op: 'allocate'; readonly path: string; readonly end: number }
  | { readonly op: 'zero'; readonly path: string; readonly start: number; readonly end: number }
  | { readonly op: 'chmod'; readonly path: string; readonly mode: number }
  | { readonly op: 'setxattr'; readonly path: string; readonly name: string; readonly length: number }
  | { readonly op: 'vector'; readonly path: string; readonly name: string }
  | { readonly op: 'removexattr'; readonly path: string; readonly name: string }
  /** The index has seen the content as it is; `chunks` of text were in it. */
  | { readonly op: 'index'; readonly path: string; readonly chunks: number }
  /** One of {@link LISTS} as an access control list. */
  | { readonly op: 'list'; readonly path: string; readonly name: string; readonly list: number }
  /** Those of chattr(1). */
  | { readonly op: 'flags'; readonly path: string; readonly flags: number }
  /** A rename that leaves a whiteout. */
  | { readonly op: 'whiteout'; readonly path: string; readonly to: string; readonly flags: number }
  /** O_TMPFILE in a directory: opened, as by `open`. */
  | { readonly op: 'unnamed'; readonly path: string; readonly linkable: boolean }
  /** Of what is open, the newest. */
  | { readonly op: 'writeOpen'; readonly offset: number; readonly length: number }
  | { readonly op: 'linkOpen'; readonly to: string }
  | { readonly op: 'collection'; readonly name: string; readonly dimension: number }
  /** It takes no vectors any more; or, when it has none, it is no more. */
  | { readonly op: 'dropCollection'; readonly name: string; readonly isGone: boolean }
  | { readonly op: 'transaction'; readonly parts: readonly PartOfTransaction[] }
  | { readonly op: 'open'; readonly path: string }
  /** Of what was opened and is still, the oldest. */
  | { readonly op: 'close' };

export type PartOfTransaction =
  | { readonly kind: 'write'; readonly path: string; readonly length: number }
  | { readonly kind: 'vector' | 'attribute'; readonly path: string; readonly name: string }
  | { readonly kind: 'directory' | 'remove'; readonly path: string };

export type Step =
  | Change
  /** An fsync is asked for; the io actors answer it when they run. */
  | { readonly op: 'sync' }
  /** The io actors make so many steps. */
  | { readonly op: 'steps'; readonly count: number }
  /** They run until none has anything to do. */
  | { readonly op: 'run' }
  | { readonly op: 'sleep'; readonly ms: number }
  /** As at an unmount. */
  | { readonly op: 'checkpoint' }
  /** As while it is mounted. */
  | { readonly op: 'backgroundCheckpoint' }
  /** A compressed object of a file is made. */
  | { readonly op: 'compress'; readonly path: string }
  /** Checksums of its object are taken. */
  | { readonly op: 'sum'; readonly path: string }
  /** Those that were made take their places. */
  | { readonly op: 'place' };

const NO_CHANGES: ReadonlySet<string> = new Set([
  'sync',
  'steps',
  'run',
  'sleep',
  'checkpoint',
  'backgroundCheckpoint',
  'compress',
  'sum',
  'place',
]);

export function isChange(step: Step): step is Change {
  return !NO_CHANGES.has(step.op);
}

/** Byte `at` of what operation `n` writes: never zero, and different from what the next 250 write there. */
export function fill(n: number, at: number): number {
  return 1 + ((n * 37 + at * 11) % 251);
}

/** The directories in which a change needs names to be. */
export function pathsOf(change: Change): readonly string[] {
  const path = 'path' in change ? [change.path] : [];
  return 'to' in change ? [...path, change.to] : path;
}

/** Tag, permissions and id of each entry. The last says no more than permission bits do. */
export const LISTS = [
  [1, 7, -1, 2, 7, 1000, 4, 0, -1, 8, 5, 2000, 16, 6, -1, 32, 4, -1],
  [1, 6, -1, 4, 4, -1, 16, 2, -1, 32, 0, -1],
  [1, 7, -1, 4, 5, -1, 32, 1, -1],
] as const;
const IMMUTABLE = 0x10;
const APPEND_ONLY = 0x20;
const NO_DUMP = 0x40;
const COLLECTIONS = ['x', 'y'];
const PATHS = ['a', 'b', 'd', 'd/a', 'd/b', 'e', 'e/a', 'd/e', 'd/e/a', 'a-name-of-more-than-24-bytes'];
const DIRECTORIES = ['d', 'e', 'd/e'];
const XATTRS = ['user.a', 'user.b'];
const VECTORS = ['user.vexfs.vector', 'user.vexfs.vector.x', 'user.vexfs.vector.y'];
/** On both sides of the inline limit of simulated stores, of a sector, and of several. */
const SIZES = [1, 30, 180, 200, 201, 300, 512, 700, 1024, 1700, 2600];

/** Steps of a long workload. `checkpoints`: one now and then. */
export function randomSteps(seed: number, length: number, checkpoints: boolean): Step[] {
  const random = seeded(seed);
  const one = <T>(values: readonly T[]): T => values[random(values.length)]!;
  const steps: Step[] = [
    { op: 'create', path: 'd', kind: 'directory' },
    { op: 'create', path: 'a', kind: 'file' },
    { op: 'create', path: 'd/a', kind: 'file' },
  ];
  while (steps.length < length) {
    const dice = random(100);
    if (dice < 45) steps.push(randomChange(random, one));
    else if (dice < 63) steps.push(randomLinuxChange(random, one));
    else if (dice < 66) steps.push({ op: 'compress', path: one(PATHS) });
    else if (dice < 70) steps.push({ op: 'sum', path: one(PATHS) });
    else if (dice < 72) steps.push({ op: 'place' });
    else if (dice < 78) steps.push({ op: 'sync' });
    else if (dice < 90) steps.push({ op: 'steps', count: 1 + random(4) });
    else if (dice < 96) steps.push({ op: 'run' });
    else if (dice < 99) steps.push({ op: 'sleep', ms: 400 + random(1500) });
    else if (checkpoints) steps.push({ op: random(3) === 0 ? 'checkpoint' : 'backgroundCheckpoint' });
  }
  return [...steps, { op: 'sync' }, { op: 'run' }];
}

function randomChange(random: (bound: number) => number, one: <T>(values: readonly T[]) => T): Change {
  const path = one(PATHS);
  const dice = random(100);
  if (dice < 10) return { op: 'create', path: one(DIRECTORIES), kind: 'directory' };
  if (dice < 22) return { op: 'create', path, kind: random(20) === 0 ? 'fifo' : 'file' };
  if (dice < 24) return { op: 'symlink', path, target: one(['t', '/x/'.repeat(30)]) };
  if (dice < 28) return { op: 'link', path, to: one(PATHS) };
  if (dice < 34) return { op: 'remove', path: one([...PATHS, 'f', 'd/f']), directory: false };
  if (dice < 36) return { op: 'remove', path: one(DIRECTORIES), directory: true };
  if (dice < 46) {
    return { op: 'rename', path, to: one(PATHS), flags: one([0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE]) };
  }
  if (dice < 68) return { op: 'write', path, offset: one([0, 0, 0, 100, ...SIZES]), length: one(SIZES) };
  if (dice < 75) return { op: 'truncate', path, size: one([0, 0, ...SIZES]) };
  if (dice < 77) return { op: 'allocate', path, end: one(SIZES) };
  if (dice < 81) return { op: 'zero', path, start: one([0, ...SIZES]), end: 2600 };
  if (dice < 83) return { op: 'zero', path, start: 100, end: one([150, 600, 1100]) };
  if (dice < 85) return { op: 'chmod', path, mode: one([0o600, 0o755, 0o640]) };
  if (dice < 87) return { op: 'setxattr', path, name: one(XATTRS), length: 1 + random(60) };
  if (dice < 91) return { op: 'vector', path, name: one(VECTORS) };
  if (dice < 93) return { op: 'removexattr', path, name: one([XATTRS[0]!, VECTORS[0]!]) };
  if (dice < 96) return { op: 'index', path, chunks: random(3) };
  if (dice < 98) return { op: 'open', path };
  return { op: 'close' };
}

/** What Linux, collections and `.vexfs/query` have beside it. */
function randomLinuxChange(random: (bound: number) => number, one: <T>(values: readonly T[]) => T): Change {
  const path = one(PATHS);
  const directory = one(['', ...DIRECTORIES]);
  const dice = random(100);
  if (dice < 15) return { op: 'list', path, name: one([ACCESS, DEFAULT]), list: random(LISTS.length) };
  if (dice < 20) return { op: 'list', path: one(DIRECTORIES), name: DEFAULT, list: random(LISTS.length) };
  // Mostly none, so that things go on happening.
  if (dice < 30) return { op: 'flags', path, flags: one([0, 0, 0, NO_DUMP, IMMUTABLE, APPEND_ONLY]) };
  if (dice < 38) return { op: 'whiteout', path, to: one(PATHS), flags: one([0, 0, RENAME_NOREPLACE]) };
  if (dice < 46) return { op: 'unnamed', path: directory, linkable: random(4) > 0 };
  if (dice < 54) return { op: 'writeOpen', offset: one([0, 0, 100]), length: one(SIZES) };
  if (dice < 60) return { op: 'linkOpen', to: one(['f', 'd/f']) };
  if (dice < 64) return { op: 'collection', name: one(COLLECTIONS), dimension: 4 };
  if (dice < 68) return { op: 'dropCollection', name: one(COLLECTIONS), isGone: random(2) === 0 };
  const parts = Array.from({ length: 1 + random(4) }, () => randomPart(random, one));
  return { op: 'transaction', parts };
}

function randomPart(
  random: (bound: number) => number,
  one: <T>(values: readonly T[]) => T,
): PartOfTransaction {
  const path = one(PATHS);
  const dice = random(100);
  if (dice < 45) return { kind: 'write', path, length: one([0, ...SIZES]) };
  if (dice < 65) return { kind: 'vector', path, name: one(VECTORS) };
  if (dice < 75) return { kind: 'attribute', path, name: one(XATTRS) };
  if (dice < 85) return { kind: 'directory', path: one(DIRECTORIES) };
  // Nothing of the transaction happens where there is no such file.
  return { kind: 'remove', path };
}

/** What is there before each of {@link triples}, and durable. */
export const FOUNDATION: readonly Step[] = [
  { op: 'create', path: 'd', kind: 'directory' },
  { op: 'create', path: 'a', kind: 'file' },
  { op: 'write', path: 'a', offset: 0, length: 100 },
  { op: 'create', path: 'd/a', kind: 'file' },
  { op: 'write', path: 'd/a', offset: 0, length: 900 },
  { op: 'vector', path: 'd/a', name: VECTORS[0]! },
  { op: 'sync' },
  { op: 'run' },
];

/** The same with the large file compressed. */
export const COMPRESSED_FOUNDATION: readonly Step[] = [
  ...FOUNDATION,
  { op: 'compress', path: 'd/a' },
  { op: 'place' },
  { op: 'sync' },
  { op: 'run' },
];

/** The same with checksums of the large file. */
export const SUMMED_FOUNDATION: readonly Step[] = [
  ...FOUNDATION,
  { op: 'sum', path: 'd/a' },
  { op: 'place' },
  { op: 'sync' },
  { op: 'run' },
];

/** The changes that {@link triples} are made of: on a small file `a`, a large one `d/a`, and a name that is free. */
const ATOMS: readonly Change[] = [
  { op: 'create', path: 'b', kind: 'file' },
  { op: 'create', path: 'e', kind: 'directory' },
  { op: 'link', path: 'a', to: 'd/b' },
  { op: 'link', path: 'd/a', to: 'b' },
  { op: 'remove', path: 'a', directory: false },
  { op: 'remove', path: 'd/a', directory: false },
  { op: 'remove', path: 'd', directory: true },
  { op: 'rename', path: 'a', to: 'b', flags: 0 },
  { op: 'rename', path: 'a', to: 'd/a', flags: 0 },
  { op: 'rename', path: 'd/a', to: 'a', flags: 0 },
  { op: 'rename', path: 'd', to: 'e', flags: 0 },
  { op: 'rename', path: 'a', to: 'd/a', flags: RENAME_EXCHANGE },
  { op: 'write', path: 'a', offset: 50, length: 100 },
  { op: 'write', path: 'a', offset: 0, length: 1300 },
  { op: 'write', path: 'd/a', offset: 300, length: 600 },
  { op: 'write', path: 'd/a', offset: 600, length: 50 },
  { op: 'write', path: 'd/a', offset: 900, length: 700 },
  { op: 'write', path: 'b', offset: 0, length: 700 },
  { op: 'truncate', path: 'a', size: 0 },
  { op: 'truncate', path: 'd/a', size: 0 },
  { op: 'truncate', path: 'd/a', size: 400 },
  { op: 'truncate', path: 'd/a', size: 1500 },
  { op: 'zero', path: 'd/a', start: 100, end: 700 },
  { op: 'zero', path: 'd/a', start: 500, end: 2000 },
  { op: 'chmod', path: 'a', mode: 0o600 },
  { op: 'vector', path: 'a', name: VECTORS[0]! },
  { op: 'vector', path: 'd/a', name: VECTORS[0]! },
  { op: 'removexattr', path: 'd/a', name: VECTORS[0]! },
  { op: 'index', path: 'd/a', chunks: 2 },
  { op: 'list', path: 'd', name: DEFAULT, list: 0 },
  { op: 'list', path: 'a', name: ACCESS, list: 0 },
  { op: 'whiteout', path: 'a', to: 'b', flags: 0 },
  { op: 'unnamed', path: 'd', linkable: true },
  { op: 'writeOpen', offset: 0, length: 700 },
  { op: 'linkOpen', to: 'b' },
  {
    op: 'transaction',
    parts: [
      { kind: 'write', path: 'd/a', length: 1100 },
      { kind: 'vector', path: 'd/a', name: VECTORS[0]! },
      { kind: 'write', path: 'b', length: 90 },
      { kind: 'remove', path: 'a' },
    ],
  },
];

export const TRIPLES = ATOMS.length ** 3;

/** Any three changes after an fsync, and another fsync: number `n` of {@link TRIPLES}. */
export function triple(n: number): Step[] {
  const changes: Step[] = [];
  for (let rest = n, i = 0; i < 3; i++) {
    changes.push(ATOMS[rest % ATOMS.length]!);
    rest = Math.floor(rest / ATOMS.length);
  }
  return [...changes, { op: 'sync' }, { op: 'run' }];
}
