/** Which attributes a `setattr` changes, and to what. Filled by the caller and reused. */

export const SET_MODE = 1;
export const SET_UID = 2;
export const SET_GID = 4;
export const SET_ATIME = 8;
export const SET_MTIME = 16;
/** Without it, ctime becomes the time of the call. */
export const SET_CTIME = 32;
/** Clear set-user-ID and set-group-ID as after a write or chown by another user (FUSE_HANDLE_KILLPRIV_V2). */
export const KILL_SUIDGID = 64;
export const SET_ALL = 127;
/** Of a write to a file's data, not of `setattr`: mtime and ctime stay, the kernel owns them (writeback). */
export const KEEP_TIMES = 128;

export class AttrChanges {
  /** A union of the bits above. */
  valid = 0;
  /** Permission bits (07777); the type stays. */
  mode = 0;
  uid = 0;
  gid = 0;
  /** Seconds since the epoch, maybe negative, and nanoseconds 0 … 999,999,999. */
  atime = 0;
  atimeNs = 0;
  mtime = 0;
  mtimeNs = 0;
  ctime = 0;
  ctimeNs = 0;
}
