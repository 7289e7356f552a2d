/** Who keeps a mount busy: processes with a working directory, root, program, open file or mapping inside it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Holder {
  readonly pid: number;
  readonly command: string;
}

/**
 * Reads /proc only, never the mount, so it works on a dead or hung one. Processes of other users are seen only by
 * root.
 */
export function holdersOf(directory: string): Holder[] {
  const holders: Holder[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (Number.isInteger(pid) && holds(pid, directory)) holders.push({ pid, command: commandOf(pid) });
  }
  return holders;
}

function holds(pid: number, directory: string): boolean {
  const isInside = (path: string) => path === directory || path.startsWith(`${directory}/`);
  for (const link of ['cwd', 'root', 'exe'])
    if (isInside(attempt(readlinkSync, `/proc/${pid}/${link}`))) return true;
  for (const fd of attemptList(`/proc/${pid}/fd`)) {
    if (isInside(attempt(readlinkSync, `/proc/${pid}/fd/${fd}`))) return true;
  }
  // address perms offset device inode path; newlines in the path are escaped as in mountinfo.
  for (const line of attempt(readText, `/proc/${pid}/maps`).split('\n')) {
    const slash = line.indexOf('/');
    if (slash >= 0 && isInside(line.slice(slash))) return true;
  }
  return false;
}

function commandOf(pid: number): string {
  return attempt(readText, `/proc/${pid}/comm`).trimEnd() || '?';
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

/** A process may end, or belong to another user, at any moment: then there is nothing to see. */
function attempt(read: (path: string) => string, path: string): string {
  try {
    return read(path);
  } catch {
    return '';
  }
}

function attemptList(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
