/** The work of each operation, on files of its own in the current directory, which later rounds find again. */
import fs from 'node:fs';
import koffi from 'koffi';

export interface Workload {
  /** Steps timed together. */
  readonly batch: number;
  /** Number of batches, where it is not the time that ends the measurement. Such a workload gets no warm-up. */
  readonly passes?: number;
  /** Bytes moved by a step, for a rate in bytes. */
  readonly bytes?: number;
  /** Not timed. */
  readonly before?: () => void;
  readonly step: (index: number) => void;
  /** Not timed. */
  readonly after?: () => void;
}

/** Makes the workload, or says why it cannot run here. */
type MakeWorkload = (shrink: number) => Workload | string;

/** Not text, so that a filesystem that indexes text has nothing to index: the work is the same for all peers. */
const content = Buffer.alloc(1 << 20).map((_, i) => (i * 151 + (i >> 8)) & 0xff);
const kilobyte = content.subarray(0, 1024);
const small = content.subarray(0, 4096);
const line = content.subarray(0, 100);
const target = Buffer.alloc(1 << 20);
const MEBIBYTE = 1 << 20;

/** Longer than the one second for which FUSE servers let the kernel cache names and attributes by default. */
const CACHE_EXPIRY_MS = 1100;
const POSIX_FADV_DONTNEED = 4;

const libc = koffi.load('libc.so.6');
const posixFadvise: (fd: number, offset: number, length: number, advice: number) => number = libc.func(
  'int posix_fadvise(int fd, long offset, long length, int advice)',
);

const nativeStat: (name: string, into: Uint8Array) => number = libc.func(
  'int stat(const char *name, void *into)',
);
const statBuffer = Buffer.alloc(256);

/**
 * stat(2) as libc makes it, and so git, find, tar and rsync. Node's own asks for the birth time as well (statx), which most
 * programs do not, and for which the kernel sends a second request to a server that knows it.
 */
function stat(name: string): void {
  if (nativeStat(name, statBuffer) !== 0) throw new Error(`stat ${name}: errno ${koffi.errno()}`);
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}

/** Files that exist from here on, made in the first round and found in the later ones. */
function files(count: number, data: Uint8Array): string[] {
  const all = names('f', count);
  for (const name of all) {
    if (!fs.existsSync(name)) fs.writeFileSync(name, data);
  }
  return all;
}

function scaled(count: number, shrink: number): number {
  return Math.max(8, Math.round(count / shrink));
}

function forgetPages(name: string): void {
  const fd = fs.openSync(name, 'r');
  fs.fdatasyncSync(fd);
  posixFadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  fs.closeSync(fd);
}

function readSmall(name: string): void {
  const fd = fs.openSync(name, 'r');
  if (fs.readSync(fd, target, 0, small.length, 0) !== small.length) throw new Error(`short read of ${name}`);
  fs.closeSync(fd);
}

function writeNew(name: string): void {
  const fd = fs.openSync(name, 'w');
  fs.writeSync(fd, kilobyte);
  fs.closeSync(fd);
}

/** A file of so many MiB that is read once, so that whatever keeps pages has them. */
function largeFile(blocks: number): void {
  if (!fs.existsSync('large')) {
    const fd = fs.openSync('large', 'w');
    for (let i = 0; i < blocks; i++) fs.writeSync(fd, content);
    fs.closeSync(fd);
    sleep(100); // a server hears of closing a little later
  }
  const fd = fs.openSync('large', 'r');
  while (fs.readSync(fd, target) > 0);
  fs.closeSync(fd);
}

/** Moves so many MiB by `move`, twice, with the file opened for it. */
function inBlocks(blocks: number, flags: string, move: (fd: number, block: number) => number): Workload {
  let fd = -1;
  return {
    batch: blocks,
    passes: 2,
    bytes: MEBIBYTE,
    step: (i) => {
      if (i === 0) fd = fs.openSync('large', flags);
      if (move(fd, i) !== MEBIBYTE) throw new Error('fewer bytes than asked for');
      if (i === blocks - 1) fs.closeSync(fd);
    },
  };
}

let fresh = 0;

export const workloads: Readonly<Record<string, MakeWorkload>> = {
  'lookup-missing': () => ({
    batch: 256,
    step: () => {
      if (nativeStat(`missing-${process.pid}-${fresh++}`, statBuffer) === 0)
        throw new Error('found what is missing');
    },
  }),

  stat: (shrink) => {
    const all = files(scaled(1000, shrink), kilobyte);
    for (let i = 0; i < 2000; i++) stat('/');
    return {
      batch: all.length,
      passes: 2,
      before: () => sleep(CACHE_EXPIRY_MS),
      step: (i) => stat(all[i]!),
    };
  },

  'stat-hot': (shrink) => {
    const all = files(scaled(1000, shrink), kilobyte);
    return { batch: all.length, step: (i) => stat(all[i]!) };
  },

  'stat-cold': (shrink) => {
    const all = files(scaled(1000, shrink), kilobyte);
    const drop = () => {
      fs.writeFileSync('/proc/sys/vm/drop_caches', '2');
      sleep(50); // the server is told of each dropped inode
      stat('.');
    };
    try {
      drop();
    } catch {
      return 'needs root to drop dentries and inodes';
    }
    for (let i = 0; i < 2000; i++) stat('/');
    return { batch: all.length, passes: 2, before: drop, step: (i) => stat(all[i]!) };
  },

  'open-close': (shrink) => {
    const all = files(scaled(100, shrink), kilobyte);
    return { batch: all.length, step: (i) => fs.closeSync(fs.openSync(all[i]!, 'r')) };
  },

  create: (shrink) => {
    const all = names('n', scaled(200, shrink));
    return {
      batch: all.length,
      step: (i) => writeNew(all[i]!),
      after: () => all.forEach(fs.unlinkSync),
    };
  },

  'read-small': (shrink) => {
    const all = files(scaled(500, shrink), small);
    return { batch: all.length, step: (i) => readSmall(all[i]!) };
  },

  'read-small-cold': (shrink) => {
    const all = files(scaled(500, shrink), small);
    return { batch: all.length, before: () => all.forEach(forgetPages), step: (i) => readSmall(all[i]!) };
  },

  append: (shrink) => {
    const all = files(scaled(100, shrink), line);
    return {
      batch: all.length,
      step: (i) => {
        const fd = fs.openSync(all[i]!, 'a');
        fs.writeSync(fd, line);
        fs.closeSync(fd);
      },
    };
  },

  readdir: (shrink) => {
    const all = files(scaled(1000, shrink), new Uint8Array(0));
    return {
      batch: 4,
      step: () => {
        if (fs.readdirSync('.').length !== all.length) throw new Error('readdir lost or invented an entry');
      },
    };
  },

  rename: (shrink) => {
    const count = scaled(200, shrink);
    let from = names('f', count);
    let to = names('t', count);
    if (fs.existsSync(to[0]!))
      [from, to] = [to, from]; // an earlier round ended half-way
    else files(count, new Uint8Array(0));
    return {
      batch: count,
      step: (i) => fs.renameSync(from[i]!, to[i]!),
      after: () => {
        [from, to] = [to, from];
      },
    };
  },

  chmod: (shrink) => {
    const all = files(scaled(500, shrink), new Uint8Array(0));
    let mode = 0o644;
    return {
      batch: all.length,
      before: () => {
        mode ^= 0o044;
      },
      step: (i) => fs.chmodSync(all[i]!, mode),
    };
  },

  unlink: (shrink) => {
    const all = names('n', scaled(200, shrink));
    return {
      batch: all.length,
      before: () => all.forEach(writeNew),
      step: (i) => fs.unlinkSync(all[i]!),
    };
  },

  'write-seq': (shrink) => {
    const blocks = scaled(256, shrink);
    let fd = -1;
    return {
      batch: blocks,
      passes: 1,
      bytes: MEBIBYTE,
      step: (i) => {
        if (i === 0) fd = fs.openSync('big', 'w');
        fs.writeSync(fd, content);
        if (i === blocks - 1) fs.closeSync(fd);
      },
      after: () => forgetPages('big'), // also writes it out, so that the next peer has the disk for itself
    };
  },

  'write-large': (shrink) => {
    const blocks = scaled(256, shrink);
    largeFile(blocks);
    return inBlocks(blocks, 'r+', (fd, i) => fs.writeSync(fd, content, 0, MEBIBYTE, i * MEBIBYTE));
  },

  'read-large': (shrink) => {
    const blocks = scaled(256, shrink);
    largeFile(blocks);
    return inBlocks(blocks, 'r', (fd, i) => fs.readSync(fd, target, 0, MEBIBYTE, i * MEBIBYTE));
  },

  'read-seq': (shrink) => {
    const blocks = scaled(256, shrink);
    if (!fs.existsSync('big') || fs.statSync('big').size !== blocks * MEBIBYTE) {
      const fd = fs.openSync('big', 'w');
      for (let i = 0; i < blocks; i++) fs.writeSync(fd, content);
      fs.closeSync(fd);
    }
    let fd = -1;
    return {
      batch: blocks,
      passes: 1,
      bytes: MEBIBYTE,
      before: () => forgetPages('big'),
      step: (i) => {
        if (i === 0) fd = fs.openSync('big', 'r');
        if (fs.readSync(fd, target) !== MEBIBYTE) throw new Error('short read');
        if (i === blocks - 1) fs.closeSync(fd);
      },
    };
  },
};
