import { expect, test } from 'vitest';
import {
  decodeManifest,
  encodeManifest,
  listCheckpoints,
  loadCheckpoint,
  pruneCheckpoints,
  removeUnfinished,
  writeCheckpoint,
} from '../../actors/io/checkpoint.ts';
import { ENOSPC } from '../../runtime/errno.ts';
import { FaultyDisk, PowerCut } from './faulty-disk.ts';
import { seeded } from './views.ts';

const MIB = 1024 * 1024;
const SMALL = 2000;

function emptyDisk(): FaultyDisk {
  const disk = new FaultyDisk();
  disk.mkdir('checkpoint');
  disk.syncDirectory('.');
  return disk;
}

/** Three parts whose bytes follow from the LSN; one is empty, one longer than a block. */
function partsOf(lsn: number, slabBytes: number) {
  return [
    { name: 'inodes', bytes: new Uint8Array(1000).fill(lsn) },
    { name: 'slab', bytes: new Uint8Array(slabBytes).fill(lsn + 1) },
    { name: 'none', bytes: new Uint8Array(0) },
  ];
}

function write(disk: FaultyDisk, lsn: number, slabBytes = MIB + 5): number {
  return writeCheckpoint(disk, { uuid: 'u', lsn, created: 0 }, partsOf(lsn, slabBytes));
}

function load(disk: FaultyDisk, slabBytes = MIB + 5) {
  const zeros = new Uint8Array(slabBytes + 4096);
  const regions = new Map(
    ['inodes', 'slab', 'none'].map((name) => [name, new Uint8Array(new SharedArrayBuffer(zeros.length))]),
  );
  const outcome = loadCheckpoint(disk, 'u', (name) => regions.get(name));
  if (typeof outcome === 'string') throw new Error(outcome);
  for (const { name, bytes } of outcome.loaded ? partsOf(outcome.loaded.lsn, slabBytes) : []) {
    expect(Buffer.compare(regions.get(name)!.subarray(0, bytes.length), bytes)).toBe(0);
    expect(Buffer.compare(regions.get(name)!.subarray(bytes.length), zeros.subarray(bytes.length))).toBe(0);
  }
  return outcome;
}

test('the newest checkpoint is loaded whole; older than two are deleted', () => {
  const disk = emptyDisk();
  expect(load(disk)).toEqual({ loaded: undefined, damaged: [] });
  for (const [lsn, kept] of [
    [10, 0],
    [20, 10],
    [30, 20],
    [40, 30],
  ] as const) {
    expect(write(disk, lsn)).toBe(lsn / 10);
    expect(pruneCheckpoints(disk, 'u')).toBe(kept);
    expect(load(disk).loaded).toEqual({ sequence: lsn / 10, lsn });
  }
  expect(listCheckpoints(disk)).toEqual([3, 4]);
});

test('damage anywhere is named, and the older checkpoint takes its place without a trace of the newer', () => {
  for (const [file, at, offset] of [
    ['inodes', 0, 0],
    ['inodes', 999, 0],
    ['slab', 7, 0],
    ['slab', MIB + 4, MIB],
    ['manifest.json', 30, 0],
  ] as const) {
    const disk = emptyDisk();
    write(disk, 10);
    write(disk, 20);
    const path = `checkpoint/00000002/${file}`;
    const bytes = disk.read(path).slice();
    bytes[at]! ^= 128;
    disk.rot(path, bytes);
    expect(load(disk)).toMatchObject({
      loaded: { lsn: 10 },
      damaged: [{ sequence: 2, damage: { file: path, offset } }],
    });
    disk.rot(path, bytes.subarray(0, bytes.length - 1));
    expect(load(disk)).toMatchObject({
      loaded: { lsn: 10 },
      damaged: [{ sequence: 2, damage: { file: path } }],
    });
    disk.unlink(path);
    expect(load(disk)).toMatchObject({
      loaded: { lsn: 10 },
      damaged: [{ sequence: 2, damage: { file: path } }],
    });
  }
});

test('shared memory that is too small is a sentence, not damage', () => {
  const disk = emptyDisk();
  write(disk, 10);
  const outcome = loadCheckpoint(disk, 'u', () => new Uint8Array(2000));
  expect(outcome).toBe('the store needs 1048581 bytes of shared memory for slab, 2000 are configured');
});

test('power cut or failure before any disk call of a checkpoint: the newest complete one is there', () => {
  const whole = emptyDisk();
  const start = whole.calls;
  for (const lsn of [10, 20, 30]) {
    write(whole, lsn, SMALL);
    pruneCheckpoints(whole, 'u');
  }
  for (let call = start + 1; call <= whole.calls; call++) {
    for (const mode of ['cut', 'fail']) {
      const disk = emptyDisk();
      if (mode === 'cut') disk.cutAt = call;
      else disk.failures.set(call, ENOSPC);
      let complete = 0;
      try {
        for (const lsn of [10, 20, 30]) {
          if (write(disk, lsn, SMALL) < 0) break;
          complete = lsn;
          if (pruneCheckpoints(disk, 'u') < 0) break;
        }
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error;
      }
      for (let seed = 0; seed < 3; seed++) {
        const after = disk.crash(call * 3 + seed);
        const outcome = load(after, SMALL);
        expect(outcome.damaged).toEqual([]);
        expect(outcome.loaded?.lsn ?? 0).toBeGreaterThanOrEqual(complete);
        expect(removeUnfinished(after)).toBe(0);
        expect((after.list('checkpoint') as string[]).filter((name) => name.endsWith('.tmp'))).toEqual([]);
        expect(write(after, 90, SMALL)).toBeGreaterThan(0);
        expect(load(after, SMALL).loaded?.lsn).toBe(90);
      }
    }
  }
});

test('a manifest survives only unchanged', () => {
  const manifest = {
    format: 1,
    uuid: 'u',
    lsn: 2 ** 40,
    created: 1.5,
    parts: [{ name: 'a', bytes: 3, crcs: [7] }],
  };
  const bytes = encodeManifest(manifest);
  expect(decodeManifest(bytes)).toEqual(manifest);
  expect(JSON.parse(new TextDecoder().decode(bytes))).toMatchObject(manifest);
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = bytes.slice();
      changed[at]! ^= 1 << bit;
      expect(typeof decodeManifest(changed)).toBe('string');
    }
    expect(typeof decodeManifest(bytes.subarray(0, at))).toBe('string');
  }
  const random = seeded(1);
  for (let round = 0; round < 500; round++) {
    expect(typeof decodeManifest(Uint8Array.from({ length: random(200) }, () => random(256)))).toBe('string');
  }
});
