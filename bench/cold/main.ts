/** `npm run bench:cold`: size of compressed objects, and what making and reading them takes, and checksums of plain ones; see docs/PERFORMANCE.md. */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Place } from '../../fuse/namespace/namespace.ts';
import { compressObject } from '../../fuse/objects/compress.ts';
import { CompressedObjects } from '../../fuse/objects/compressed-objects.ts';
import { ObjectFiles } from '../../fuse/objects/object-files.ts';
import { objectPath } from '../../fuse/objects/object-path.ts';
import { SummedObjects, sumsOf } from '../../fuse/objects/summed-objects.ts';
import { KIB, MIB } from '../../runtime/config/bounds.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { median } from '../runtime/measure.ts';

const USAGE = `npm run bench:cold -- [options]
  --file PATH    what is compressed (the sources of this repository, built); may be repeated
  --rounds N     rounds in which everything is done once (7)
  --json FILE    also write the rows there
  --quick        one round of little: shows that everything runs, measures nothing`;

const FRAMES = [16 * KIB, 32 * KIB, 64 * KIB];
const LEVELS = [1, 3, 6];
const SMALL = 4 * KIB;

type Form = 'plain' | 'summed' | 'compressed';

interface Way {
  readonly name: string;
  readonly frameBytes: number;
  /** Level of Zstandard; undefined = plain. */
  readonly level: number | undefined;
  /** The plain object has checksums. */
  readonly isSummed?: boolean;
}

interface Row {
  readonly data: string;
  readonly way: string;
  /** Bytes of the object / of the file. */
  readonly share: number;
  /** Of CPU time, medians: megabytes a second, and microseconds for 4 KiB at a random place with nothing kept. */
  readonly makeMBs: number;
  readonly readMBs: number;
  readonly smallUs: number;
}

/** CPU time of this process: waiting for a CPU does not count. */
function seconds(step: () => void): number {
  const begin = process.cpuUsage();
  step();
  const { user, system } = process.cpuUsage(begin);
  return Math.max(1, user + system) / 1e6;
}

function sources(root: string): Buffer {
  const names = fs
    .readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(js|ts)$/.test(name));
  return Buffer.concat(names.sort().map((name) => fs.readFileSync(join(root, name))));
}

class Bench {
  readonly #disk: HostDisk;
  readonly #content: Buffer;
  readonly #buffer = new Uint8Array(MIB);
  readonly #reads: number;
  #next = 2;
  #sums: Uint32Array = new Uint32Array(0);
  readonly #place = new Place();

  constructor(folder: string, content: Buffer, reads: number) {
    this.#disk = new HostDisk(folder);
    this.#content = content;
    this.#reads = reads;
    this.#disk.mkdir('objects');
    const objects = new ObjectFiles(this.#disk, 1);
    objects.create(1);
    objects.write(1, 0, content, 0, content.length);
    objects.close();
  }

  /** Bytes of the object, and the seconds that making it, reading it and `reads` small reads took. */
  measure({
    level,
    frameBytes,
    isSummed,
  }: Way): readonly [bytes: number, made: number, read: number, small: number] {
    const id = level === undefined ? 1 : this.#next++;
    const made = seconds(() => {
      if (isSummed) this.#sums = sumsOf(this.#disk, id, this.#content.length) as Uint32Array;
      if (level === undefined) return;
      const stored = compressObject(this.#disk, 1, id, this.#content.length, { level, frameBytes });
      if (stored < 0) throw new Error(`errno ${-stored}`);
    });
    const bytes = fs.statSync(join(this.#disk.root, objectPath(id)), { throwIfNoEntry: false })?.size;
    // Not worth it.
    if (bytes === undefined) return [this.#content.length, made, Number.NaN, Number.NaN];
    const form = isSummed ? 'summed' : level === undefined ? 'plain' : 'compressed';
    const read = seconds(() => this.#sequentially(id, form));
    const small = seconds(() => this.#randomly(id, form));
    if (id !== 1) this.#disk.unlink(objectPath(id));
    return [bytes, made, read, small];
  }

  #sequentially(id: number, form: Form): void {
    this.#with(id, form, (read) => {
      for (let at = 0; at < this.#content.length; at += MIB)
        read(at, Math.min(MIB, this.#content.length - at));
    });
  }

  #randomly(id: number, form: Form): void {
    this.#with(id, form, (read) => {
      // Coprime steps: no frame is met twice in a row, so nothing is found expanded.
      const places = Math.floor(this.#content.length / SMALL) - 1;
      for (let i = 0; i < this.#reads; i++) read(((i * 7919) % places) * SMALL, SMALL);
    });
  }

  #with(id: number, form: Form, run: (read: (at: number, length: number) => void) => void): void {
    const objects = new ObjectFiles(this.#disk, 1);
    const read = this.#readerOf(objects, id, form);
    run((at, length) => {
      const got = read(at, length);
      if (got !== length) throw new Error(`a read of ${length} gave ${got}`);
    });
    objects.close();
  }

  #readerOf(objects: ObjectFiles, id: number, form: Form): (at: number, length: number) => number {
    const { length: size } = this.#content;
    if (form === 'plain') return (at, length) => objects.read(id, at, length, this.#buffer, 0);
    if (form === 'compressed') {
      const compressed = new CompressedObjects(objects, 0);
      return (at, length) => compressed.read(id, size, at, length, this.#buffer, 0);
    }
    const readSums = (_ino: number, first: number, count: number, out: Uint32Array): boolean => {
      out.set(this.#sums.subarray(first, first + count));
      return true;
    };
    const summed = new SummedObjects(objects, { readSums });
    Object.assign(this.#place, { object: id, size, hasSums: true });
    return (at, length) => summed.read(1, this.#place, at, length, this.#buffer, 0);
  }
}

const WAYS: readonly Way[] = [
  { name: 'plain', level: undefined, frameBytes: 0 },
  { name: 'checksums', level: undefined, frameBytes: 0, isSummed: true },
  ...FRAMES.flatMap((frameBytes) =>
    LEVELS.map((level) => ({ name: `${frameBytes / KIB} KiB, level ${level}`, level, frameBytes })),
  ),
];

function rowsOf(data: string, content: Buffer, rounds: number, reads: number): Row[] {
  const folder = fs.mkdtempSync(join(os.tmpdir(), 'vexfs-bench-cold-'));
  try {
    const bench = new Bench(folder, content, reads);
    const times = WAYS.map(() => [[], [], [], []] as [number[], number[], number[], number[]]);
    for (let round = -1; round < rounds; round++) {
      for (const [i, way] of WAYS.entries()) {
        const measured = bench.measure(way);
        if (round >= 0) measured.forEach((value, k) => void times[i]![k]!.push(value));
      }
    }
    return WAYS.map(({ name }, i) => {
      const [bytes, made, read, small] = times[i]!.map((values) => median(values)) as [
        number,
        number,
        number,
        number,
      ];
      const megabytes = content.length / 1e6;
      return {
        data,
        way: name,
        share: bytes / content.length,
        makeMBs: name === 'plain' ? Number.NaN : megabytes / made,
        readMBs: megabytes / read,
        smallUs: (small * 1e6) / reads,
      };
    });
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

function markdown(rows: readonly Row[]): string {
  const shown = (value: number, digits: number): string => (Number.isNaN(value) ? '' : value.toFixed(digits));
  const lines = rows.map(
    ({ data, way, share, makeMBs, readMBs, smallUs }) =>
      `| ${data} | ${way} | ${share.toFixed(3)} | ${shown(makeMBs, 0)} | ${shown(readMBs, 0)} | ${shown(smallUs, 1)} |`,
  );
  return [
    '| data | frames | share of the size | made, MB/s | read, MB/s | 4 KiB anywhere, µs |',
    '| --- | --- | ---: | ---: | ---: | ---: |',
    ...lines,
  ].join('\n');
}

function main(): void {
  const { values } = parseArgs({
    options: {
      file: { type: 'string', multiple: true },
      rounds: { type: 'string', default: '7' },
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
    },
  });
  const rounds = values.quick ? 1 : Number(values.rounds);
  if (!(Number.isInteger(rounds) && rounds >= 1)) {
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }
  const whole = new URL('../../', import.meta.url).pathname;
  const data = values.file?.map((file): [string, Buffer] => [file, fs.readFileSync(file)]) ?? [
    ['the sources of VexFS, built', sources(whole)],
  ];
  const rows = data.flatMap(([name, content]) =>
    rowsOf(name, values.quick ? content.subarray(0, MIB) : content, rounds, values.quick ? 50 : 2000),
  );
  console.log(markdown(rows));
  if (values.json !== undefined) fs.writeFileSync(values.json, `${JSON.stringify({ rows }, undefined, 2)}\n`);
}

main();
