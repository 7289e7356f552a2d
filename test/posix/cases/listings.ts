/** Reading directories: everything that is there all along is met once, whatever comes and goes meanwhile. */
import { closeSync, lstatSync, opendirSync, readdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import * as c from '../calls.ts';
import { type Cases, done, FORMATS, make, moves, S_IFMT, TYPES } from '../place.ts';

const NAMES = 400;

export const listingCases: Cases = {
  'readdir: every name once, with its type; none but those': (at) => {
    const directory = at.directory();
    const wanted = new Map<string, number>();
    for (const type of TYPES) {
      for (let i = 0; i < 5; i++) {
        make(type, join(directory, `${type}-${i}`));
        wanted.set(`${type}-${i}`, FORMATS[type]);
      }
    }
    const seen = new Map<string, number>();
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      expect(seen.has(entry.name)).toBe(false);
      seen.set(entry.name, Number(c.lstat(join(directory, entry.name)).mode) & S_IFMT);
      expect([entry.isDirectory(), entry.isFIFO(), entry.isSymbolicLink()]).toEqual([
        entry.name.startsWith('directory'),
        entry.name.startsWith('fifo'),
        entry.name.startsWith('symlink'),
      ]);
    }
    expect(seen).toEqual(wanted);
  },
  'readdir: what stays is met once while other names come and go between two reads': (at) => {
    const directory = at.directory();
    for (let i = 0; i < NAMES; i++) make('regular', join(directory, `stays-${i}`));
    for (let i = 0; i < NAMES; i++) make('regular', join(directory, `goes-${i}`));
    const met = new Map<string, number>();
    const listing = opendirSync(directory, { bufferSize: 16 });
    for (let i = 0; ; i++) {
      const entry = listing.readSync();
      if (entry === null) break;
      met.set(entry.name, (met.get(entry.name) ?? 0) + 1);
      if (i < NAMES) {
        done(c.unlink(join(directory, `goes-${i}`)));
        make('regular', join(directory, `comes-${i}`));
      }
    }
    listing.closeSync();
    for (let i = 0; i < NAMES; i++) expect(met.get(`stays-${i}`), `stays-${i}`).toBe(1);
    expect([...met].filter(([, times]) => times > 1)).toEqual([]);
  },
  'readdir: everything can be removed while the directory is read, as rm -r does': (at) => {
    const directory = at.directory();
    for (let i = 0; i < NAMES; i++) make('regular', join(directory, `f${i}`));
    const listing = opendirSync(directory, { bufferSize: 8 });
    for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) {
      done(c.unlink(join(directory, entry.name)));
    }
    listing.closeSync();
    done(c.rmdir(directory));
  },
  'a directory that is only read keeps mtime and ctime': (at) => {
    const directory = at.directory();
    at.file(0o644, undefined, directory);
    moves(directory, { mtime: false, ctime: false }, () => readdirSync(directory));
  },
  'an inode number is that of readdir, lstat and fstat alike': (at) => {
    const path = at.file();
    const fd = done(c.open(path, 0));
    expect(c.stat(`/proc/self/fd/${fd}`).ino).toBe(c.lstat(path).ino);
    closeSync(fd);
    expect(lstatSync(join(at.root, '.')).ino).toBe(lstatSync(at.root).ino);
  },
  'statfs: there is a block size, and less is free than there is': (at) => {
    const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(at.root);
    expect(bsize).toBeGreaterThan(0);
    expect(bfree).toBeLessThanOrEqual(blocks);
    expect(bavail).toBeLessThanOrEqual(bfree);
    expect(ffree).toBeLessThanOrEqual(files);
  },
};
