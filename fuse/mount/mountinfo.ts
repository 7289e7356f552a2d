/** What is mounted where: /proc/self/mountinfo, proc_pid_mountinfo(5). Reading it never touches a mount. */
import { readFileSync } from 'node:fs';
import { unescapeOctal } from '../../runtime/system/octal-escapes.ts';
import { type MountRow, notedStore } from './named-mounts.ts';

export const SUBTYPE = 'vexfs';
const TYPE = `fuse.${SUBTYPE}`;

export interface Mount {
  /** `major:minor` of the mounted filesystem. */
  readonly device: string;
  readonly mountPoint: string;
  readonly options: readonly string[];
  readonly type: string;
  readonly source: string;
  /** Absolute path of the store, if the mount is a VexFS. */
  readonly store: string | undefined;
}

export type VexfsMount = Mount & { readonly store: string };

/** In mount order: of two mounts on one directory the later one is the visible one. Malformed lines are skipped. */
export function parseMountinfo(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    const dash = fields.indexOf('-', 6);
    if (dash < 0 || fields.length < dash + 3) continue;
    const row = {
      device: fields[2]!,
      mountPoint: unescapeOctal(fields[4]!),
      options: fields[5]!.split(','),
      type: unescapeOctal(fields[dash + 1]!),
      source: unescapeOctal(fields[dash + 2]!),
    };
    mounts.push({ ...row, store: isFuse(row) ? storeOf(row) : undefined });
  }
  return mounts;
}

export function readMounts(): Mount[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'latin1'));
}

/** Of a mount of our type the source is the store, unless it was noted that another name was chosen. */
function storeOf(row: MountRow): string | undefined {
  return notedStore(row) ?? (row.type === TYPE ? row.source : undefined);
}

export function isVexfs(mount: Mount): mount is VexfsMount {
  return mount.store !== undefined;
}

export function isFuse(mount: Pick<Mount, 'type'>): boolean {
  return mount.type === 'fuse' || mount.type === 'fuseblk' || mount.type.startsWith('fuse.');
}

/** The visible mount exactly at `directory` (absolute, without symlinks). */
export function mountAt(mounts: readonly Mount[], directory: string): Mount | undefined {
  return mounts.findLast((mount) => mount.mountPoint === directory);
}

/** The mount that `path` (absolute, without symlinks) lies in. */
export function mountContaining(mounts: readonly Mount[], path: string): Mount | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    const { mountPoint } = mount;
    const contains = mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`);
    if (contains && (best === undefined || mountPoint.length >= best.mountPoint.length)) best = mount;
  }
  return best;
}

/** What is mounted within `directory`, at any depth. */
export function mountsBelow(mounts: readonly Mount[], directory: string): Mount[] {
  const start = directory === '/' ? '/' : `${directory}/`;
  return mounts.filter(({ mountPoint }) => mountPoint.startsWith(start) && mountPoint !== '/');
}
