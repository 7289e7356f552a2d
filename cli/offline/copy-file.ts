/** Files copied with their holes, sharing their blocks where the host can, and the checksums of what was copied. */
import fs from 'node:fs';
import { dirname } from 'node:path';
import { crc32c } from '../../kernels/codec/crc32c.ts';
import { MIB } from '../../runtime/config/bounds.ts';
import { ENXIO } from '../../runtime/errno.ts';
import { lseek, SEEK_DATA, SEEK_HOLE } from '../../runtime/system/libc.ts';

const BLOCK = 4 * MIB;
const MODE = 0o600;

export class FileCopier {
  /** Bytes that were read and written; shared blocks are not among them. */
  copied = 0;
  readonly #buffer = Buffer.allocUnsafe(BLOCK);
  #canClone = true;

  /** In place of what `to` may be. Throws what fs throws. */
  copy(from: string, to: string): void {
    fs.mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    fs.rmSync(to, { force: true });
    if (this.#canClone && this.#clone(from, to)) return;
    const source = fs.openSync(from, 'r');
    try {
      this.copyOpen(source, to, fs.fstatSync(source).size);
    } finally {
      fs.closeSync(source);
    }
  }

  /** The first `bytes` bytes of an open file. */
  copyOpen(source: number, to: string, bytes: number): void {
    fs.mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    const target = fs.openSync(to, 'wx', MODE);
    try {
      for (let at = dataFrom(source, 0, bytes); at < bytes; at = dataFrom(source, at, bytes)) {
        const hole = lseek(source, at, SEEK_HOLE);
        const end = Math.min(bytes, hole < 0 ? bytes : hole);
        this.#copyRange(source, target, at, end);
        at = end;
      }
      fs.ftruncateSync(target, bytes);
    } finally {
      fs.closeSync(target);
    }
  }

  #copyRange(source: number, target: number, from: number, end: number): void {
    for (let at = from; at < end; ) {
      const got = fs.readSync(source, this.#buffer, 0, Math.min(BLOCK, end - at), at);
      if (got === 0) return;
      let written = 0;
      while (written < got)
        written += fs.writeSync(target, this.#buffer, written, got - written, at + written);
      at += got;
      this.copied += got;
    }
  }

  #clone(from: string, to: string): boolean {
    try {
      fs.copyFileSync(from, to, fs.constants.COPYFILE_FICLONE_FORCE | fs.constants.COPYFILE_EXCL);
      fs.chmodSync(to, MODE);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
      fs.rmSync(to, { force: true });
      this.#canClone = false;
      return false;
    }
  }
}

/** Where the next byte is that is in no hole, `end` = there is none; a host that knows nothing of holes has data everywhere. */
function dataFrom(source: number, at: number, end: number): number {
  const data = lseek(source, at, SEEK_DATA);
  if (data === -ENXIO) return end;
  return data < 0 ? at : data;
}

/** CRC-32C of a whole file. */
export function checksumOf(path: string, buffer: Uint8Array): number {
  const descriptor = fs.openSync(path, 'r');
  try {
    let crc = 0;
    for (let at = 0; ; ) {
      const got = fs.readSync(descriptor, buffer, 0, buffer.length, at);
      if (got === 0) return crc;
      crc = crc32c(buffer, 0, got, crc);
      at += got;
    }
  } finally {
    fs.closeSync(descriptor);
  }
}
