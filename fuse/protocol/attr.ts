/**
 * The attributes of one inode, as a caller-owned object that is filled and encoded again and again, so that a
 * request allocates nothing. Seconds are doubles and may be negative; `blocks` counts 512-byte units.
 */
export class Attr {
  /** Low and high word of the node id. */
  ino = 0;
  inoHi = 0;
  mode = 0;
  nlink = 0;
  uid = 0;
  gid = 0;
  rdev = 0;
  size = 0;
  blocks = 0;
  /** Of a regular file: the object that has its bytes as they are; 0 = they are elsewhere, or compressed. */
  object = 0;
  blksize = 4096;
  atime = 0;
  atimeNs = 0;
  mtime = 0;
  mtimeNs = 0;
  ctime = 0;
  ctimeNs = 0;
  /** When the inode was made. */
  btime = 0;
  btimeNs = 0;
  /** With the node id unique for as long as the filesystem exists. */
  generation = 0;
}
