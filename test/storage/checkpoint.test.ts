import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import {
  decodeManifest,
  encodeManifest,
  listCheckpoints,
  loadCheckpoint,
  type Manifest,
  pruneCheckpoints,
  removeUnfinished,
  writeCheckpoint,
} from '../../actors/io/checkpoint.ts';
import { help, withHelp } from '../../actors/load-blocks.ts';
import { LoadBoard, loadBoardBytes } from '../../actors/load-board.ts';
import { crc32c } from '../../kernels/codec/crc32c.ts';
import { ENOSPC } from '../../runtime/errno.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { seeded } from '../seed.ts';
import { FaultyDisk, PowerCut } from './faulty-disk.ts';

const MIB = 1024 * 1024;
const SMALL = 2000;

function emptyDisk(): FaultyDisk {
  const disk = new FaultyDisk();
  disk.mkdir('checkpoint');
  disk.syncDirectory('.');
  return disk;
}

/**
 * Four parts whose bytes follow from the LSN: one that compresses, one that does not and is longer than a block, an empty
 * one, and one with zeroes at its beginning.
 */
const made = new Map<string, ReturnType<typeof makeParts>>();

function partsOf(lsn: number, slabBytes: number) {
  const key = `${lsn} ${slabBytes}`;
  const parts = made.get(key) ?? makeParts(lsn, slabBytes);
  made.set(key, parts);
  return parts;
}

function makeParts(lsn: number, slabBytes: number) {
  const random = seeded(lsn);
  const sparse = new Uint8Array(slabBytes + 100);
  sparse.fill(lsn, slabBytes + 50);
  return [
    { name: 'inodes', bytes: new Uint8Array(1000).fill(lsn) },
    { name: 'slab', bytes: Uint8Array.from({ length: slabBytes }, () => random(256)) },
    { name: 'none', bytes: new Uint8Array(0) },
    { name: 'sparse', bytes: sparse },
  ];
}

/** Beyond the end of the longest part. */
const SPARE = 4096;

function write(disk: FaultyDisk, lsn: number, slabBytes = MIB + 5): number {
  return writeCheckpoint(disk, { uuid: 'u', lsn, created: 0 }, partsOf(lsn, slabBytes));
}

function load(disk: FaultyDisk, slabBytes = MIB + 5) {
  const zeros = new Uint8Array(slabBytes + 100 + SPARE);
  const regions = new Map(
    ['inodes', 'slab', 'none', 'sparse'].map((name) => [
      name,
      new Uint8Array(new SharedArrayBuffer(zeros.length)),
    ]),
  );
  // What is there before does not shine through.
  for (const { name, bytes } of partsOf(0, slabBytes)) regions.get(name)!.fill(7, 0, bytes.length);
  const outcome = loadCheckpoint(disk, 'u', (name) => regions.get(name));
  if (typeof outcome === 'string') throw new Error(outcome);
  if (outcome.loaded === undefined) return outcome;
  for (const { name, bytes } of partsOf(outcome.loaded.lsn, slabBytes)) {
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
    ['slab', 7, 0],
    ['slab', MIB + 4, MIB],
    ['sparse', 3, 0],
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

const BLOCKS = 8;

/** A checkpoint on the host's disk for `use`, and a board for it. */
function onHost(use: (disk: HostDisk, board: LoadBoard, words: SharedArrayBuffer) => void): void {
  const root = mkdtempSync(join(tmpdir(), 'vexfs-load-'));
  try {
    const disk = new HostDisk(root);
    disk.mkdir('checkpoint');
    for (const lsn of [10, 20])
      writeCheckpoint(disk, { uuid: 'u', lsn, created: 0 }, partsOf(lsn, 3 * MIB + 5));
    const words = new SharedArrayBuffer(loadBoardBytes((BLOCKS + 4) * MIB, 4));
    use(disk, new LoadBoard({ i32: new Int32Array(words) }), words);
  } finally {
    rmSync(root, { recursive: true });
  }
}

function sharedRegions(): Map<string, Uint8Array> {
  return new Map(
    ['inodes', 'slab', 'none', 'sparse'].map((name) => [
      name,
      new Uint8Array(new SharedArrayBuffer(4 * MIB)).fill(9),
    ]),
  );
}

function expectParts(regions: Map<string, Uint8Array>, lsn: number): void {
  for (const { name, bytes } of partsOf(lsn, 3 * MIB + 5))
    expect(Buffer.compare(regions.get(name)!.subarray(0, bytes.length), bytes), name).toBe(0);
}

test('another thread takes part of the blocks and is slow: what is loaded is whole, and it comes too late for the next', () => {
  onHost((disk, board, words) => {
    const regions = sharedRegions();
    const buffers = Object.fromEntries([...regions].map(([name, { buffer }]) => [name, buffer]));
    const order = { root: disk.root, words, buffers, sequence: 2, uuid: 'u' };
    const helper = new Worker(new URL('./load-thread.js', import.meta.url), { workerData: order });
    const started = new Int32Array(words, words.byteLength - 4);
    const ask = (): void => void Atomics.wait(started, 0, 0, 10_000);
    const outcome = loadCheckpoint(disk, 'u', (name) => regions.get(name), withHelp(board, ask, 1));
    expect(outcome).toEqual({ loaded: { sequence: 2, lsn: 20 }, damaged: [] });
    expectParts(regions, 20);
    expect(Atomics.load(started, 0)).toBe(1);
    const regionOf = (name: string): never => expect.fail(`${name} is touched by one who comes late`);
    help(board, disk, 2, 'u', regionOf, 1);
    void helper.terminate();
  });
});

test('a helper finds damage: it is named, nothing of it is left, and the older checkpoint is read alone', () => {
  onHost((disk, board) => {
    const file = 'checkpoint/00000002/slab';
    const descriptor = disk.open(file, 'write');
    disk.pwrite(descriptor, new Uint8Array([1, 2, 3, 4]), 0, 4, 2 * MIB + 9);
    disk.close(descriptor);
    const regions = sharedRegions();
    const regionOf = (name: string): Uint8Array | undefined => regions.get(name);
    const ask = (sequence: number): void => help(board, disk, sequence, 'u', regionOf, 0);
    const outcome = loadCheckpoint(disk, 'u', regionOf, withHelp(board, ask, 1));
    expect(outcome).toMatchObject({
      loaded: { sequence: 1, lsn: 10 },
      damaged: [{ sequence: 2, damage: { file, offset: 2 * MIB } }],
    });
    expectParts(regions, 10);
  });
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

test('a block of zeroes takes no bytes, one that compresses few, one that does not its own', () => {
  const disk = emptyDisk();
  write(disk, 10);
  const bytesOf = (name: string) => disk.read(`checkpoint/00000001/${name}`).length;
  expect(bytesOf('slab')).toBe(MIB + 5);
  expect(bytesOf('sparse')).toBeLessThan(50);
  expect(bytesOf('inodes')).toBeLessThan(50);
});

test('a failure leaves nothing behind that takes room', () => {
  const whole = emptyDisk();
  write(whole, 10, SMALL);
  const start = whole.calls;
  write(whole, 20, SMALL);
  for (let call = start + 1; call < whole.calls; call++) {
    const disk = emptyDisk();
    write(disk, 10, SMALL);
    disk.failures.set(call, ENOSPC);
    if (write(disk, 20, SMALL) > 0) continue;
    expect((disk.list('checkpoint') as string[]).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(load(disk, SMALL).loaded?.lsn).toBeOneOf([10, 20]);
  }
});

/** As stores have them that were written before blocks were compressed. */
function writeFormat1(disk: FaultyDisk, lsn: number): void {
  const put = (path: string, bytes: Uint8Array): void => {
    const descriptor = disk.open(path, 'create');
    disk.pwrite(descriptor, bytes, 0, bytes.length, 0);
    disk.fdatasync(descriptor);
    disk.close(descriptor);
  };
  disk.mkdir('checkpoint/00000001');
  const parts = partsOf(lsn, MIB + 5).map(({ name, bytes }) => {
    put(`checkpoint/00000001/${name}`, bytes);
    const crcs = [];
    for (let at = 0; at < bytes.length; at += MIB) {
      crcs.push(crc32c(bytes, at, Math.min(bytes.length, at + MIB)));
    }
    return { name, bytes: bytes.length, crcs };
  });
  const manifest = { format: 1, uuid: 'u', lsn, created: 0, parts } as unknown as Manifest;
  put('checkpoint/00000001/manifest.json', encodeManifest(manifest));
}

test('a checkpoint of format 1 is read, and its damage found', () => {
  const disk = emptyDisk();
  writeFormat1(disk, 10);
  expect(load(disk).loaded).toEqual({ sequence: 1, lsn: 10 });
  expect(write(disk, 20)).toBe(2);
  expect(load(disk).loaded?.lsn).toBe(20);
  disk.rot(
    'checkpoint/00000001/sparse',
    disk.read('checkpoint/00000001/sparse').map((byte, at) => (at === 5 ? 1 : byte)),
  );
  disk.unlink('checkpoint/00000002/manifest.json');
  expect(load(disk)).toMatchObject({ loaded: undefined, damaged: [{ sequence: 2 }, { sequence: 1 }] });
});

test('every flipped bit of a frame is found', () => {
  const disk = emptyDisk();
  write(disk, 10, SMALL);
  write(disk, 20, SMALL);
  const path = 'checkpoint/00000002/inodes';
  const bytes = disk.read(path).slice();
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = bytes.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    disk.rot(path, changed);
    expect(load(disk, SMALL).loaded?.lsn).toBe(10);
  }
});

test('a manifest whose blocks do not make its parts is refused', () => {
  const part = { name: 'a', bytes: MIB + 1 };
  for (const blocks of [
    [],
    [[5, 1]],
    [
      [MIB + 1, 1],
      [1, 1],
    ],
    [
      [5, 1],
      [2, 1],
    ],
    [
      [-1, 1],
      [1, 1],
    ],
  ]) {
    const parts = [{ ...part, blocks: blocks as [number, number][] }];
    const manifest = decodeManifest(encodeManifest({ format: 2, uuid: 'u', lsn: 1, created: 0, parts }));
    expect(manifest).toBe('the blocks of a do not make 1048577 bytes');
  }
});

test('a manifest survives only unchanged', () => {
  const manifest = {
    format: 2,
    uuid: 'u',
    lsn: 2 ** 40,
    created: 1.5,
    parts: [{ name: 'a', bytes: 3, blocks: [[2, 7] as const] }],
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
