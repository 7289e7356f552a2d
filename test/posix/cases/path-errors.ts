/** What every call that takes a path refuses for the path's sake. */
import { rmdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect } from 'vitest';
import { EACCES, EEXIST, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EROFS } from '../../../runtime/errno.ts';
import * as c from '../calls.ts';
import {
  ALICE,
  type Cases,
  done,
  make,
  NOT_DIRECTORIES,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  type Place,
  refused,
  TYPES,
} from '../place.ts';

const EFAULT = 14;
/** 255 bytes. */
const LONGEST = 'x'.repeat(255);
/** A path that a kernel takes has at most 4,095 bytes. */
const LONGEST_PATH = 4095;

interface PathCall {
  readonly name: string;
  readonly run: (path: string | null, at: Place) => number;
  /** It makes the name; else the name must be there. */
  readonly makes: boolean;
  /** It takes the name away, so it changes the directory. */
  readonly removes?: boolean;
  readonly directory?: boolean;
  /** Looks at the last link of a path, and not at what it leads to. */
  readonly nofollow?: boolean;
  /** It changes something, so a read-only filesystem refuses it. */
  readonly changes?: boolean;
}

function closed(fd: number): number {
  return fd < 0 ? fd : c.close(fd);
}

const USES: readonly PathCall[] = [
  { name: 'chmod', run: (path) => c.chmod(path, 0o600), makes: false, changes: true },
  { name: 'chown', run: (path) => c.chown(path, 1, 1), makes: false, changes: true },
  { name: 'lchown', run: (path) => c.lchown(path, 1, 1), makes: false, changes: true, nofollow: true },
  { name: 'open', run: (path) => closed(c.open(path, O_RDONLY)), makes: false },
  {
    name: 'open with O_TRUNC',
    run: (path) => closed(c.open(path, O_WRONLY | O_TRUNC)),
    makes: false,
    changes: true,
  },
  { name: 'truncate', run: (path) => c.truncate(path, 1), makes: false, changes: true },
  {
    name: 'utimensat',
    run: (path) =>
      c.utimens(path, [
        [1, 0],
        [2, 0],
      ]),
    makes: false,
    changes: true,
  },
  {
    name: 'utimensat without following',
    run: (path) =>
      c.utimens(
        path,
        [
          [1, 0],
          [2, 0],
        ],
        false,
      ),
    makes: false,
    changes: true,
    nofollow: true,
  },
  { name: 'access', run: (path) => c.access(path, 0), makes: false },
  {
    name: 'setxattr',
    run: (path) => c.setxattr(path, 'user.x', Uint8Array.of(1), 1, 0),
    makes: false,
    changes: true,
  },
  {
    name: 'unlink',
    run: (path) => c.unlink(path),
    makes: false,
    removes: true,
    changes: true,
    nofollow: true,
  },
  {
    name: 'rmdir',
    run: (path) => c.rmdir(path),
    makes: false,
    removes: true,
    changes: true,
    directory: true,
    nofollow: true,
  },
  {
    name: 'rename from',
    run: (path, at) => c.rename(path, at.name()),
    makes: false,
    removes: true,
    changes: true,
    nofollow: true,
  },
  {
    name: 'link from',
    run: (path, at) => c.link(path, at.name()),
    makes: false,
    nofollow: true,
    changes: true,
  },
];

const MAKES: readonly PathCall[] = [
  { name: 'mkdir', run: (path) => c.mkdir(path, 0o755), makes: true, changes: true },
  { name: 'mkfifo', run: (path) => c.mkfifo(path, 0o644), makes: true, changes: true },
  { name: 'mknod of a socket', run: (path) => c.mknod(path, 0o140644, 0), makes: true, changes: true },
  { name: 'symlink', run: (path) => c.symlink('target', path), makes: true, changes: true },
  {
    name: 'open with O_CREAT and O_EXCL',
    run: (path) => closed(c.open(path, O_CREAT | O_EXCL | O_WRONLY, 0o644)),
    makes: true,
    changes: true,
  },
  { name: 'link to', run: (path, at) => c.link(at.file(), path), makes: true, changes: true },
];

const RENAME_TO: PathCall = {
  name: 'rename to',
  run: (path, at) => c.rename(at.file(), path),
  makes: true,
  changes: true,
  nofollow: true,
};

/** Makes what the call wants to find at `path`. */
function provide(call: PathCall, path: string): void {
  if (!call.makes) make(call.directory ? 'directory' : 'regular', path);
}

function errorsOf(call: PathCall): Cases {
  const cases: Record<string, (at: Place) => void> = {
    [`${call.name}: ENOTDIR when something on the way is no directory`]: (at) => {
      for (const type of NOT_DIRECTORIES) {
        if (type === 'symlink') continue;
        refused(call.run(join(at.made(type), 'below'), at), ENOTDIR);
      }
    },
    [`${call.name}: a name of 255 bytes is taken, one of 256 is ENAMETOOLONG, also on the way`]: (at) => {
      const directory = at.directory();
      const path = join(directory, LONGEST);
      provide(call, path);
      done(call.run(path, at));
      refused(call.run(`${path}x`, at), ENAMETOOLONG);
      refused(call.run(`${directory}/${LONGEST}x/below`, at), ENAMETOOLONG);
    },
    [`${call.name}: a path of 4,095 bytes is taken, one of 4,096 is ENAMETOOLONG`]: (at) => {
      const path = longPath(at.directory(), LONGEST_PATH);
      provide(call, path);
      done(call.run(path, at));
      refused(call.run(longPath(at.root, LONGEST_PATH + 1), at), ENAMETOOLONG);
    },
    [`${call.name}: ENOENT when the way does not exist`]: (at) => {
      refused(call.run(join(at.name(), 'below'), at), ENOENT);
      refused(call.run('', at), ENOENT);
      const dangling = at.name();
      done(c.symlink(at.name(), dangling));
      refused(call.run(join(dangling, 'below'), at), ENOENT);
    },
    [`${call.name}: ENOENT below a directory that was removed`]: (at) => {
      const gone = at.directory();
      const before = process.cwd();
      process.chdir(gone);
      try {
        rmdirSync(gone);
        refused(call.run('below', at), ENOENT);
      } finally {
        process.chdir(before);
      }
    },
    [`${call.name}: EACCES where a directory on the way may not be searched`]: (at) => {
      const path = join(at.directory(0o755, ALICE), 'inner', 'x');
      done(c.mkdir(dirname(path), 0o755));
      done(c.chown(dirname(path), ALICE.uid, ALICE.gid));
      provide(call, path);
      if (!call.makes) done(c.chown(path, ALICE.uid, ALICE.gid));
      done(c.chmod(dirname(path), 0o644));
      // What belongs to root is made before, what belongs to the call's other side too.
      const result = c.as(ALICE, () => call.run(path, quietly(at)));
      refused(result, EACCES);
      done(c.chmod(dirname(path), 0o755));
    },
    [`${call.name}: ELOOP on the way through links that lead to each other`]: (at) => {
      const [one, other] = [at.name(), at.name()];
      done(c.symlink(basename(one), other));
      done(c.symlink(basename(other), one));
      refused(call.run(join(one, 'below'), at), ELOOP);
      if (!call.makes && !call.nofollow) refused(call.run(other, at), ELOOP);
    },
  };
  // glibc looks at utimensat's address itself.
  if (!call.name.startsWith('utimensat')) {
    cases[`${call.name}: EFAULT for an address that is none`] = (at) => refused(call.run(null, at), EFAULT);
  }
  if (!call.makes) {
    cases[`${call.name}: ENOENT when there is no such name`] = (at) =>
      refused(call.run(at.name(), at), ENOENT);
  }
  if (call.makes && call !== RENAME_TO) {
    cases[`${call.name}: EEXIST for every kind of file that has the name`] = (at) => {
      for (const type of TYPES) refused(call.run(at.made(type), at), EEXIST);
    };
  }
  if (call.makes || call.removes) {
    cases[`${call.name}: EACCES in a directory that may not be written`] = (at) => {
      const directory = at.directory(0o755, ALICE);
      const path = join(directory, 'x');
      provide(call, path);
      if (!call.makes) done(c.chown(path, ALICE.uid, ALICE.gid));
      done(c.chmod(directory, 0o555));
      refused(
        c.as(ALICE, () => call.run(path, quietly(at))),
        EACCES,
      );
    };
  }
  if (call.changes) {
    cases[`${call.name}: EROFS where the filesystem is mounted read-only`] = (at) => {
      if (at.readOnly === undefined) return;
      const existing = join(at.readOnly, call.directory ? 'directory' : 'file');
      const path = call.makes ? join(at.readOnly, 'none') : existing;
      const inside: Place = Object.create(at, { name: { value: () => join(at.readOnly!, 'other') } });
      if (call.name === 'link to') refused(c.link(existing, path), EROFS);
      else if (call === RENAME_TO) refused(c.rename(existing, path), EROFS);
      else refused(call.run(path, inside), EROFS);
    };
  }
  return cases;
}

/** The place for a call that runs as a user who may write nothing there: its other side was made before. */
function quietly(at: Place): Place {
  const file = at.root;
  return Object.create(at, {
    file: { value: () => join(file, 'alices') },
    name: { value: () => join(file, 'none') },
  });
}

/** An absolute path of exactly `length` bytes to a name in `directory`. */
function longPath(directory: string, length: number): string {
  const name = 'name';
  const slashes = length - directory.length - name.length;
  expect(slashes).toBeGreaterThan(0);
  // Dots and slashes lead nowhere else.
  return `${directory}/${'./'.repeat((slashes - 1) >> 1)}${(slashes - 1) % 2 === 1 ? '/' : ''}${name}`;
}

/** Before any of them runs: alice owns a file beside which she may make nothing, for calls with two paths. */
export function preparePathErrors(at: Place): void {
  done(c.chown(makeNamed(at, 'alices'), ALICE.uid, ALICE.gid));
}

function makeNamed(at: Place, name: string): string {
  const path = join(at.root, name);
  make('regular', path);
  return path;
}

export const pathErrors: Cases = Object.assign({}, ...[...USES, ...MAKES, RENAME_TO].map(errorsOf)) as Cases;
