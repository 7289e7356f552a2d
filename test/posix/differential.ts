/**
 * The same random calls in a directory of the host's ext4 and in one of a mount. After each of them both must have given the same
 * answer and have the same names, attributes, bytes and extended attributes, and the same times must have moved. It needs no
 * idea of what is right, so it finds what nobody thought of.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { randomFrom } from '../seed.ts';
import * as c from './calls.ts';
import * as p from './place.ts';

const SHARED = 54_100;
const USERS: readonly (c.Who | undefined)[] = [
  undefined,
  undefined,
  { ...p.ALICE, groups: [SHARED] },
  { ...p.BOB, groups: [SHARED] },
];
const UIDS = [-1, 0, p.ALICE.uid, p.BOB.uid];
const GIDS = [-1, 0, p.ALICE.gid, p.BOB.gid, SHARED];
const NAMES = ['a', 'b', 'c', 'd'];
const DEPTHS = [1, 1, 1, 1, 2, 2, 3];
const TARGETS = ['a', '../b', '.', '..', 'c/d', 'absent', 'a/b/c', './e/'];
const ATTRIBUTES = ['user.one', 'user.two', 'trusted.one', 'security.one', 'user.', 'none.one', 'user'];
const O_TMPFILE = 0o20200000;
const OPENS = [p.O_RDONLY, p.O_WRONLY, p.O_RDWR, p.O_RDWR];
const OPEN_FLAGS = [0, 0, p.O_CREAT, p.O_CREAT, p.O_CREAT | p.O_EXCL, p.O_TRUNC, p.O_APPEND, p.O_DIRECTORY];
const ALLOCATIONS = [0, 1, 3, 2, 16, 17];
const RENAMES = [0, 0, 0, c.RENAME_NOREPLACE, c.RENAME_EXCHANGE, c.RENAME_WHITEOUT, 3, 6, 5, 8];
/** What links of ".." could lead out of otherwise. */
const INSIDE = 'in/in/in/in/in/in';
const ROOM = 4096;
const FDS = 4;
/** Between two looks at all bytes and attributes. */
const LOOK_EVERY = 8;
/** Earlier kernels round times of ext4 to ticks, which several calls share. */
const TIMES_ARE_FINE = Number(release().split('.')[0]) > 6 || /^6\.(1[3-9]|[2-9]\d)\./.test(release());

/** An access control list as system.posix_acl_* has it: entries of tag, permissions, id. */
function accessList(
  entries: readonly (readonly [tag: number, permissions: number, id: number])[],
): Uint8Array {
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2);
  entries.forEach(([tag, permissions, id], i) => {
    bytes.writeUInt16LE(tag, 4 + i * 8);
    bytes.writeUInt16LE(permissions, 6 + i * 8);
    bytes.writeUInt32LE(id >>> 0, 8 + i * 8);
  });
  return bytes;
}

/** What one call answers at one of the two: a number, or something longer that must be the same. */
type Answer = number | string;
/** `at` is one of the two directories, `fds` what is open there. */
type Step = (at: string, fds: number[]) => Answer;

interface Times {
  readonly mtime: bigint;
  readonly ctime: bigint;
}

/** One of the two directories, and what was seen of it last. */
class Side {
  readonly root: string;
  readonly fds: number[] = new Array(FDS).fill(-1);
  readonly #comparesTimes: boolean;
  #times = new Map<bigint, Times>();

  constructor(root: string, comparesTimes: boolean) {
    this.root = root;
    this.#comparesTimes = comparesTimes;
    mkdirSync(this.inside, { recursive: true });
    p.done(c.chmod(this.inside, 0o777));
  }

  get inside(): string {
    return join(this.root, INSIDE);
  }

  /** A line for each name, with what its times have done since the last look. */
  look(contents: boolean): string[] {
    const times = new Map<bigint, Times>();
    const lines = this.#below('', contents, times);
    this.#times = times;
    return lines;
  }

  #below(path: string, contents: boolean, times: Map<bigint, Times>): string[] {
    const at = join(this.root, path);
    const seen = c.lstat(at);
    const isDirectory = seen.isDirectory();
    const { mode, nlink, uid, gid, rdev, ino } = seen;
    const line = [
      path,
      mode.toString(8),
      nlink,
      uid,
      gid,
      rdev,
      isDirectory ? '' : seen.size,
      this.#moved(seen),
    ];
    times.set(ino, { mtime: seen.mtimeNs, ctime: seen.ctimeNs });
    if (contents) line.push(attributesOf(at), seen.isFile() ? digest(readFileSync(at)) : '');
    if (seen.isSymbolicLink()) line.push(readlinkSync(at));
    if (!isDirectory) return [line.join(' ')];
    const names = readdirSync(at).sort();
    return [line.join(' '), ...names.flatMap((name) => this.#below(join(path, name), contents, times))];
  }

  #moved(seen: c.Stats): string {
    const before = this.#times.get(seen.ino);
    if (before === undefined || !this.#comparesTimes) return '';
    return `${seen.mtimeNs !== before.mtime ? 'm' : ''}${seen.ctimeNs !== before.ctime ? 'c' : ''}`;
  }

  close(): void {
    for (const fd of this.fds) if (fd >= 0) c.close(fd);
  }
}

function digest(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

function attributesOf(path: string): string {
  const list = Buffer.alloc(ROOM);
  const length = c.listxattr(path, list, ROOM);
  if (length < 0) return String(length);
  const names = list.toString('latin1', 0, length).split('\0').filter(Boolean).sort();
  return names.map((name) => `${name}=${attributeOf(path, name)}`).join(',');
}

function attributeOf(path: string, name: string): string {
  const value = Buffer.alloc(ROOM);
  const length = c.getxattr(path, name, value, ROOM);
  return length < 0 ? String(length) : value.toString('hex', 0, length);
}

/** The calls of one seed. Numbers are drawn when a step is made, so that both sides get the same. */
class Calls {
  readonly #next: () => number;
  #made = 0;

  constructor(seed: number) {
    this.#next = randomFrom(seed);
  }

  below(n: number): number {
    return Math.floor(this.#next() * n);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  #path(): string {
    const path = Array.from({ length: this.pick(DEPTHS) }, () => this.pick(NAMES)).join('/');
    return path + this.pick(['', '', '', '', '', '', '', '', '/', '/.']);
  }

  #mode(): number {
    return this.pick([
      0o644,
      0o755,
      0o777,
      0o600,
      0o1777,
      0o2775,
      0o4755,
      0o2644,
      0o6777,
      0o070,
      this.below(0o10000),
    ]);
  }

  /** Others than in the calls before: ext4 moves no time for an attribute that has this value already. */
  #bytes(): Uint8Array {
    return new Uint8Array(1 + this.below(this.pick([10, 6000]))).fill(++this.#made);
  }

  #time(): c.Time {
    return this.pick([c.NOW, c.OMIT, [this.below(2 ** 31), this.below(1e9)], [-5, 7], [1, 1e9]] as c.Time[]);
  }

  #list(): Uint8Array {
    const [owner, group, mask, other] = [0, 1, 2, 3].map(() => this.below(8)) as [
      number,
      number,
      number,
      number,
    ];
    const named = [[2, this.below(8), p.ALICE.uid] as const, [2, this.below(8), p.BOB.uid] as const].slice(
      this.below(2),
    );
    return this.pick([
      accessList([[1, owner, -1], ...named, [4, group, -1], [16, mask, -1], [32, other, -1]]),
      accessList([
        [1, owner, -1],
        [4, group, -1],
        [32, other, -1],
      ]),
      accessList([
        [1, owner, -1],
        [4, group, -1],
        [8, mask, SHARED],
        [16, mask, -1],
        [32, other, -1],
      ]),
      accessList([[1, owner, -1], ...named, [4, group, -1], [32, other, -1]]),
      accessList([]),
    ]);
  }

  /** One call, and what to call it. */
  step(): [name: string, step: Step] {
    const path = this.#path();
    const [other, number, mode] = [this.#path(), this.below(9000), this.#mode()];
    const i = this.below(FDS);
    const bytes = this.#bytes();
    const [uid, gid, attribute, target] = [UIDS, GIDS, ATTRIBUTES, TARGETS].map((all) =>
      this.pick<number | string>(all),
    );
    const flags =
      this.pick(OPENS) | this.pick(OPEN_FLAGS) | this.pick([0, 0, 0, p.O_NOFOLLOW]) | p.O_NONBLOCK;
    const [renaming, allocation, length] = [this.pick(RENAMES), this.pick(ALLOCATIONS), this.below(9000)];
    const times: [c.Time, c.Time] = [this.#time(), this.#time()];
    const create = this.pick([0, 0, 1, 2]);
    const list = this.pick(['system.posix_acl_access', 'system.posix_acl_default']);
    const lists = this.#list();
    const follow = this.below(2) === 0;
    const special = this.pick(p.TYPES.filter((type) => type !== 'directory' && type !== 'symlink'));
    const steps: Readonly<Record<string, Step>> = {
      [`open ${path} ${flags.toString(8)} ${mode.toString(8)} as ${i}`]: (at, fds) =>
        opened(fds, i, c.open(under(at, path), flags, mode)),
      [`open ${path} as ${i} `]: (at, fds) =>
        opened(fds, i, c.open(under(at, path), p.O_RDWR | p.O_CREAT | p.O_NONBLOCK, mode)),
      [`tmpfile ${path} as ${i}`]: (at, fds) =>
        opened(fds, i, c.open(under(at, path), O_TMPFILE | p.O_RDWR, mode)),
      [`close ${i}`]: (_, fds) => opened(fds, i, -1),
      [`pwrite ${i} ${bytes.length} ${number}`]: (_, fds) => c.pwrite(fds[i]!, bytes, bytes.length, number),
      [`pread ${i} ${length} ${number}`]: (_, fds) => readAt(fds[i]!, length, number),
      [`ftruncate ${i} ${number}`]: (_, fds) => c.ftruncate(fds[i]!, number),
      [`truncate ${path} ${number}`]: (at) => c.truncate(under(at, path), number),
      [`fallocate ${i} ${allocation} ${number} ${length}`]: (_, fds) =>
        c.fallocate(fds[i]!, allocation, number, length),
      [`fchmod ${i} ${mode.toString(8)}`]: (_, fds) => c.fchmod(fds[i]!, mode),
      [`fchown ${i} ${uid} ${gid}`]: (_, fds) => c.fchown(fds[i]!, uid as number, gid as number),
      [`link ${i} to ${path}`]: (at, fds) => c.linkOpen(fds[i]!, under(at, path)),
      [`mkdir ${path} ${mode.toString(8)}`]: (at) => c.mkdir(under(at, path), mode),
      [`mkdir ${path} ${mode.toString(8)} `]: (at) => c.mkdir(under(at, path), mode | 0o700),
      [`rmdir ${path}`]: (at) => c.rmdir(under(at, path)),
      [`unlink ${path}`]: (at) => c.unlink(under(at, path)),
      [`rename ${path} ${other} ${renaming}`]: (at) =>
        c.renameWith(under(at, path), under(at, other), renaming),
      [`link ${path} ${other}`]: (at) => c.link(under(at, path), under(at, other)),
      [`symlink ${target} ${path}`]: (at) => c.symlink(target as string, under(at, path)),
      [`mknod ${path} ${special}`]: (at) =>
        c.mknod(
          under(at, path),
          p.FORMATS[special] | mode,
          special === 'block' || special === 'character' ? 0x102 : 0,
        ),
      [`chmod ${path} ${mode.toString(8)}`]: (at) => c.chmod(under(at, path), mode),
      [`chown ${path} ${uid} ${gid}`]: (at) => chown(under(at, path), uid as number, gid as number, follow),
      [`utimens ${path} ${times} ${follow}`]: (at) => c.utimens(under(at, path), times, follow),
      [`setxattr ${path} ${attribute} ${create}`]: (at) =>
        c.setxattr(under(at, path), attribute as string, bytes, Math.min(bytes.length, 100), create),
      [`getxattr ${path} ${attribute}`]: (at) => attributeOf(under(at, path), attribute as string),
      [`removexattr ${path} ${attribute}`]: (at) => c.removexattr(under(at, path), attribute as string),
      [`listxattr ${path}`]: (at) => attributesOf(under(at, path)),
      [`set ${list} ${path} ${Buffer.from(lists).toString('hex')}`]: (at) =>
        c.setxattr(under(at, path), list, lists, lists.length, create),
      [`get ${list} ${path}`]: (at) => attributeOf(under(at, path), list),
      [`remove ${list} ${path}`]: (at) => c.removexattr(under(at, path), list),
      [`access ${path} ${number & 7}`]: (at) => c.access(under(at, path), number & 7),
    };
    return this.pick(Object.entries(steps));
  }
}

/** As join() of Node, which drops what a path ends with. */
function under(at: string, path: string): string {
  return `${at}/${path}`;
}

/** The descriptor itself is no part of the answer. */
function opened(fds: number[], i: number, fd: number): number {
  if (fds[i]! >= 0) c.close(fds[i]!);
  fds[i] = fd;
  return Math.min(fd, 0);
}

function readAt(fd: number, length: number, at: number): Answer {
  const bytes = new Uint8Array(length);
  const read = c.pread(fd, bytes, length, at);
  return read < 0 ? read : digest(bytes.subarray(0, read));
}

/** Of neither user nor group only where nothing follows from it (docs/CONFORMANCE.md). */
function chown(path: string, uid: number, gid: number, follow: boolean): number {
  if (uid === -1 && gid === -1) return 0;
  return follow ? c.chown(path, uid, gid) : c.lchown(path, uid, gid);
}

/**
 * `steps` calls with this seed in two directories that are empty and of one mode. Times are not compared if the kernel keeps those of
 * the mount, which moves some more than others do (`isWriteback`).
 */
export function expectSame(
  plain: string,
  mounted: string,
  seed: number,
  steps: number,
  isWriteback: boolean,
): void {
  const calls = new Calls(seed);
  const sides = [plain, mounted].map((root) => new Side(root, TIMES_ARE_FINE && !isWriteback));
  const log: string[] = [];
  const both = (what: (side: Side) => unknown, of: string): void => {
    const [wanted, got] = sides.map(what);
    expect(got, `seed ${seed}, ${of} after\n${log.slice(-25).join('\n')}`).toEqual(wanted);
  };
  const umask = process.umask();
  try {
    both((side) => side.look(false), 'what is there');
    for (let i = 0; i < steps; i++) {
      const who = calls.pick(USERS);
      const mask = calls.pick([0o022, 0, 0o077]);
      const [name, step] = calls.step();
      log.push(`${i}: ${who?.uid ?? 0} ${mask.toString(8)} ${name}`);
      process.umask(mask);
      const run = (side: Side): Answer => step(side.inside, side.fds);
      both((side) => (who === undefined ? run(side) : c.as(who, () => run(side))), 'the answer');
      both((side) => side.look(i % LOOK_EVERY === 0 || i === steps - 1), 'the tree');
    }
  } finally {
    process.umask(umask);
    for (const side of sides) side.close();
  }
}
