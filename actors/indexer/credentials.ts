import { readFile } from 'node:fs/promises';
import { supplementaryGroups } from '../../runtime/system/process-groups.ts';

/** Who asks. A search shows only what these may read. */
export interface Credentials {
  readonly uid: number;
  /** Primary group first. */
  readonly gids: readonly number[];
}

/**
 * A FUSE request names the caller's uid and primary gid (fuse_in_header); its supplementary groups are read from
 * /proc, as libfuse's fuse_req_getgroups does. A caller that is not there any more has only its primary group.
 */
export async function credentialsOf(uid: number, gid: number, pid: number): Promise<Credentials> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'latin1');
    return { uid, gids: [gid, ...supplementaryGroups(status, uid)] };
  } catch {
    return { uid, gids: [gid] };
  }
}
