/**
 * The conformance cases, on a plain temporary directory and in a mount. VEXFS_POSIX_DIR=… names another directory for the
 * former, say of a filesystem to compare with; it must let other users in. VEXFS_POSIX=all adds a mount with writeback, and one
 * with passthrough.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { Mounted, NO_FUSE, titled } from '../e2e/mounted.ts';
import { canBecomeOthers } from './calls.ts';
import { allocateCases, openCases, truncateCases, writeCases } from './cases/contents.ts';
import { listingCases } from './cases/listings.ts';
import { linkCases, makingCases, nameCases, symlinkCases } from './cases/making.ts';
import {
  allocationPrivilegeCases,
  chmodCases,
  chownCases,
  permissionCases,
  privilegeCases,
} from './cases/modes.ts';
import { pathErrors, preparePathErrors } from './cases/path-errors.ts';
import { renameCases, rmdirCases, stickyCases, unlinkCases } from './cases/removing.ts';
import { sharingCases } from './cases/sharing.ts';
import { timeCases } from './cases/times.ts';
import { xattrCases } from './cases/xattrs.ts';
import { expectSame } from './differential.ts';
import { type Cases, Place, type PlaceOptions } from './place.ts';

const CLASSES: readonly Cases[] = [
  pathErrors,
  chmodCases,
  chownCases,
  privilegeCases,
  allocationPrivilegeCases,
  permissionCases,
  makingCases,
  symlinkCases,
  linkCases,
  nameCases,
  unlinkCases,
  rmdirCases,
  renameCases,
  stickyCases,
  openCases,
  truncateCases,
  allocateCases,
  writeCases,
  timeCases,
  listingCases,
  sharingCases,
  xattrCases,
];

const NOT_ROOT = canBecomeOthers() ? undefined : 'only root can become other users';

/** A directory of the host's filesystem, open to all. */
function plainDirectory(): string {
  const path = mkdtempSync(join(process.env.VEXFS_POSIX_DIR ?? tmpdir(), 'vexfs-posix-'));
  chmodSync(path, 0o755);
  return path;
}

/** A second view of a new directory in `parent`, through which nothing can be changed; undefined if it cannot be had. */
function readOnlyView(parent: string, view: string): string | undefined {
  const shown = join(parent, 'shown');
  mkdirSync(join(shown, 'directory'), { recursive: true });
  writeFileSync(join(shown, 'file'), '');
  mkdirSync(view);
  const bound = spawnSync('mount', ['--bind', shown, view]).status === 0;
  return bound && spawnSync('mount', ['-o', 'remount,bind,ro', view]).status === 0 ? view : undefined;
}

const umask = process.umask(0o022);
afterAll(() => process.umask(umask));

interface Tested {
  readonly directory: string;
  /** A directory of the host's, where the read-only view is mounted. */
  readonly beside: string;
  readonly options: PlaceOptions;
  readonly close: () => void;
}

function conforms(open: () => Tested): void {
  let at: Place;
  let tested: Tested | undefined;
  let view: string;
  beforeAll(() => {
    tested = open();
    view = join(tested.beside, 'view');
    at = new Place(tested.directory, {
      ...tested.options,
      readOnly: readOnlyView(tested.directory, view),
    });
    preparePathErrors(at);
  });
  afterAll(() => {
    spawnSync('umount', ['-l', view]);
    tested?.close();
  });
  for (const cases of CLASSES) for (const [title, run] of Object.entries(cases)) test(title, () => run(at));
}

describe.skipIf(NOT_ROOT)(titled('a plain directory', NOT_ROOT), () => {
  conforms(() => {
    const directory = plainDirectory();
    const close = (): void => rmSync(directory, { recursive: true, force: true });
    return { directory, beside: directory, options: { isVexfs: false }, close };
  });
});

const NO_MOUNT = NOT_ROOT ?? NO_FUSE;

const SEED = Number(process.env.VEXFS_POSIX_SEED ?? Math.floor(Math.random() * 2 ** 31));
const SEQUENCES = Number(process.env.VEXFS_POSIX_SEQUENCES ?? 2);
const CALLS = 200;
const EXT4 = 0xef53;

/** Why there is nothing to compare with, or undefined. */
function notExt4(): string | undefined {
  const { type } = statfsSync(process.env.VEXFS_POSIX_DIR ?? tmpdir());
  return type === EXT4 ? undefined : 'temporary files are not on ext4';
}

/** A new directory in which everybody may do everything. */
function openToAll(parent: string): string {
  const path = mkdtempSync(join(parent, 'both-'));
  chmodSync(path, 0o777);
  return path;
}

const MOUNTS = [
  { how: 'as mounted by default', config: '' },
  { how: 'with writeback and two fuse actors', config: '[workers]\nfuse = 2\n[fuse]\nwriteback = true\n' },
  {
    how: 'with passthrough, and every file an object',
    config: '[workers]\nfuse = 2\n[fuse]\npassthrough = "auto"\n[store]\ninline_limit = 0\n',
  },
];

describe.each(MOUNTS.slice(0, process.env.VEXFS_POSIX === 'all' ? MOUNTS.length : 1))(
  'a mount, $how',
  ({ config }) => {
    describe.skipIf(NO_MOUNT)(titled('is as a local filesystem', NO_MOUNT), () => {
      let mounted = '';
      conforms(() => {
        const fs = new Mounted(config);
        chmodSync(fs.root, 0o755);
        fs.mount(['-o', 'allow_other,suid,dev']);
        chmodSync(fs.dir, 0o755);
        mounted = fs.dir;
        return { directory: fs.dir, beside: fs.root, options: { isVexfs: true }, close: () => fs.dispose() };
      });

      test.skipIf(notExt4())(
        titled('random calls do what they do on ext4', notExt4()),
        { timeout: 20_000 + SEQUENCES * 10_000 },
        () => {
          const plain = plainDirectory();
          try {
            for (let i = 0; i < SEQUENCES; i++)
              expectSame(openToAll(plain), openToAll(mounted), SEED + i, CALLS, config.includes('writeback'));
          } finally {
            rmSync(plain, { recursive: true, force: true });
          }
        },
      );
    });
  },
);
