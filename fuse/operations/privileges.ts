/**
 * Set-group-ID where the group may not execute. Whether a change of the bytes takes it away depends on whether the caller is
 * in the file's group, which the kernel leaves to the filesystem to find out (FUSE_HANDLE_KILLPRIV_V2); the bits that do not
 * depend on it are taken with the change itself (fuse/namespace/privileges.ts).
 */
import { readFileSync } from 'node:fs';
import { SET_MODE } from '../namespace/changes.ts';
import type { Request } from '../protocol/request.ts';
import type { Context } from './context.ts';

const S_ISGID = 0o2000;
const S_IXGRP = 0o0010;
const S_IFREG = 0o100000;

/** Before a change that the kernel, or {@link isPrivileged}, says is to take privileges from `ino`. */
export function dropForeignGroupId(context: Context, request: Request, ino: number): void {
  const { attr, changes, namespace } = context;
  if (namespace.stat(ino, attr) < 0 || (attr.mode & (S_IFREG | S_ISGID | S_IXGRP)) !== (S_IFREG | S_ISGID))
    return;
  if (isInGroup(request, attr.gid)) return;
  changes.valid = SET_MODE;
  changes.mode = attr.mode & 0o7777 & ~S_ISGID;
  namespace.setattr(ino, changes);
}

/** Whether the caller may change bytes and leave the bits set, for requests whose flags do not tell: is it root? */
export function isPrivileged(request: Request): boolean {
  return request.uid === 0;
}

/** The request has the primary group only; the others are in /proc, as for fuse_req_getgroups() of libfuse. */
function isInGroup(request: Request, gid: number): boolean {
  if (request.gid === gid) return true;
  try {
    const status = readFileSync(`/proc/${request.pid}/status`, 'latin1');
    const groups = /^Groups:[ \t]*(.*)$/m.exec(status)?.[1] ?? '';
    return groups.split(' ').includes(String(gid));
  } catch {
    return false;
  }
}
