import { readFile } from 'node:fs/promises';

/** Who asks. A search shows only what these may read. */
export interface Credentials {
  readonly uid: number;
  /** Primary group first. */
  readonly gids: readonly number[];
}

/**
 * A FUSE request names the caller's uid and primary gid (fuse_in_header); its supplementary groups are read from
 * /proc, as libfuse's fuse_req_getgroups does. A caller that is gone already has only its primary group.
 */
export async function credentialsOf(uid: number, gid: number, pid: number): Promise<Credentials> {
  const gids = [gid];
  try {
    const status = await readFile(`/proc/${pid}/status`, 'latin1');
    const groups = /^Groups:[ \t]*(.*)$/m.exec(status)?.[1] ?? '';
    for (const group of groups.split(' ')) if (group !== '') gids.push(Number(group));
  } catch {
    return { uid, gids };
  }
  return { uid, gids };
}
