/**
 * Mounts whose source or type was chosen (-o fsname=…, subtype=…), so that the table of mounts does not say which store they
 * are of: a small file each says it, named after the mount's device number. A file counts only while the table has exactly
 * that mount, so one that was left behind says nothing of a later mount with the same number.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EACCES, EIO } from '../../runtime/errno.ts';
import { Failure } from './failure.ts';

/** What the table of mounts has to say of a mount for its file to count. */
export interface MountRow {
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
}

const ROOTS_DIRECTORY = '/run/vexfs';

/** Of this user's mounts; nobody else can write there. Undefined: there is no such place. */
function ownDirectory(): string | undefined {
  if (process.geteuid!() === 0) return ROOTS_DIRECTORY;
  const runtime = process.env.XDG_RUNTIME_DIR;
  return runtime ? join(runtime, 'vexfs') : undefined;
}

function isSame(one: MountRow, other: MountRow): boolean {
  const keys = ['device', 'mountPoint', 'type', 'source'] as const;
  return keys.every((key) => one[key] === other[key]);
}

/** The store of a mount that was noted, by this user or by root. */
export function notedStore(row: MountRow): string | undefined {
  for (const directory of new Set([ROOTS_DIRECTORY, ownDirectory()])) {
    if (directory === undefined) continue;
    try {
      const noted = JSON.parse(readFileSync(join(directory, row.device), 'utf8')) as MountRow & {
        store: string;
      };
      if (isSame(noted, row)) return noted.store;
    } catch {
      // Not noted there.
    }
  }
  return undefined;
}

/** Whether {@link note} can be called at all; a sentence if it cannot. */
export function cannotNote(): string | undefined {
  return ownDirectory() === undefined
    ? 'fsname and subtype need a directory to note whose the mount is: set XDG_RUNTIME_DIR'
    : undefined;
}

/** Notes that the mount `row` is of `store`; `mounts` is the table, by which what is over is removed. */
export function note(row: MountRow, store: string, mounts: readonly MountRow[]): Failure | undefined {
  const directory = ownDirectory();
  if (directory === undefined) return new Failure(-EACCES, cannotNote()!);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const alive = new Set(mounts.map(({ device }) => device));
    for (const name of readdirSync(directory))
      if (!alive.has(name)) rmSync(join(directory, name), { force: true });
    writeFileSync(join(directory, row.device), JSON.stringify({ ...row, store }), { mode: 0o644 });
    return undefined;
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException;
    return new Failure(errno ?? -EIO, `${directory}, where the mount is noted, cannot be written: ${code}`);
  }
}
