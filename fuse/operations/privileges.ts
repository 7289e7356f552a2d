/**
 * Set-group-ID where the group may not execute. Whether a change of the bytes takes it away depends on whether the caller is
 * in the file's group, which the kernel leaves to the filesystem to find out (FUSE_HANDLE_KILLPRIV_V2); the bits that do not
 * depend on it are taken with the change itself (fuse/namespace/privileges.ts).
 */
import { readFileSync } from 'node:fs';
import { supplementaryGroups } from '../../runtime/system/process-groups.ts';
import { SET_MODE } from '../namespace/changes.ts';
import { withoutPrivileges } from '../namespace/inodes.ts';
import type { Request } from '../protocol/request.ts';
import type { Context } from './context.ts';

const S_ISGID = 0o2000;
const S_IXGRP = 0o0010;
const S_IFREG = 0o100000;

/** Before a change that the kernel says is to take privileges from `ino`. */
export function dropForeignGroupId(context: Context, request: Request, ino: number): void {
  const { attr, namespace } = context;
  if (namespace.stat(ino, attr) < 0 || (attr.mode & (S_IFREG | S_ISGID | S_IXGRP)) !== (S_IFREG | S_ISGID))
    return;
  if (!isInGroup(request, attr.gid)) setMode(context, ino, attr.mode & ~S_ISGID);
}

/**
 * After a change of which the kernel does not say what it takes, as allocation: everything, unless the caller is root. (What
 * the kernel would ask for is the capability CAP_FSETID.)
 */
export function dropPrivileges(context: Context, request: Request, ino: number): void {
  if (request.uid === 0) return;
  dropForeignGroupId(context, request, ino);
  const { attr, namespace } = context;
  if (namespace.stat(ino, attr) < 0 || (attr.mode & S_IFREG) === 0) return;
  const left = withoutPrivileges(attr.mode);
  if (left !== attr.mode) setMode(context, ino, left);
}

function setMode({ changes, namespace }: Context, ino: number, mode: number): void {
  changes.valid = SET_MODE;
  changes.mode = mode & 0o7777;
  namespace.setattr(ino, changes);
}

/** The request has the primary group only; the others are in /proc, as for fuse_req_getgroups() of libfuse. */
function isInGroup(request: Request, gid: number): boolean {
  if (request.gid === gid) return true;
  try {
    const status = readFileSync(`/proc/${request.pid}/status`, 'latin1');
    return supplementaryGroups(status, request.uid).includes(gid);
  } catch {
    return false;
  }
}
