/**
 * Backing files: what the kernel reads and writes in place of asking (FUSE passthrough, Linux 6.9; needs CAP_SYS_ADMIN). A file is
 * registered under an id, which the answer to an OPEN names; the kernel keeps it as long as one of those is open.
 */
import { ioctl } from '../../runtime/system/libc.ts';

const BACKING_OPEN = 0x4010e501;
const BACKING_CLOSE = 0x4004e502;

export interface Backing {
  /** The id for an open descriptor, which may be closed afterwards; or −errno: ELOOP, the file is on a stacked filesystem. */
  open(descriptor: number): number;
  /** The id is free. Files that are open by it stay so. */
  close(id: number): void;
}

export class KernelBacking implements Backing {
  readonly #fd: number;
  /** struct fuse_backing_map: i32 fd, u32 flags, u64 padding. */
  readonly #map = new Int32Array(4);

  /** @param fd /dev/fuse, mounted, of a connection that has agreed on FUSE_PASSTHROUGH */
  constructor(fd: number) {
    this.#fd = fd;
  }

  open(descriptor: number): number {
    this.#map.fill(0);
    this.#map[0] = descriptor;
    return ioctl(this.#fd, BACKING_OPEN, this.#map);
  }

  close(id: number): void {
    this.#map[0] = id;
    ioctl(this.#fd, BACKING_CLOSE, this.#map);
  }
}
