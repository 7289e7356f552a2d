import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { readVector } from '../../cli/vector-files.ts';
import { type Format, VectorSink, VectorSource } from '../../cli/vector-formats.ts';
import { progressLine } from '../../cli/vector-transfer.ts';

const directory = mkdtempSync(join(tmpdir(), 'vexfs-vectors-'));
afterAll(() => rmSync(directory, { recursive: true }));

function file(content: string | Uint8Array): string {
  const path = join(directory, 'vector');
  writeFileSync(path, content);
  return path;
}

function npy(descr: string, shape: string, data: Uint8Array, version = 1): Uint8Array {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }\n`;
  const length = version === 1 ? Buffer.alloc(2) : Buffer.alloc(4);
  if (version === 1) length.writeUInt16LE(header.length);
  else length.writeUInt32LE(header.length);
  return Buffer.concat([
    Buffer.from('\x93NUMPY', 'latin1'),
    Buffer.from([version, 0]),
    length,
    Buffer.from(header),
    data,
  ]);
}

test('any float32 vector is read back from .npy of both widths and versions, and from JSON', () => {
  const elements = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), {
    minLength: 1,
    maxLength: 50,
  });
  fc.assert(
    fc.property(elements, (values) => {
      const f32 = Float32Array.from(values);
      const f64 = Float64Array.from(values);
      const plain = Array.from(f32, (value) => value + 0);
      const read = (format: 'npy' | 'json'): number[] =>
        Array.from(readVector(join(directory, 'vector'), format), (v) => v + 0);
      file(npy('<f4', `(${values.length},)`, new Uint8Array(f32.buffer)));
      expect(read('npy')).toEqual(plain);
      file(npy('<f8', `(1, ${values.length})`, new Uint8Array(f64.buffer), 2));
      expect(read('npy')).toEqual(plain);
      file(JSON.stringify(values));
      expect(read('json')).toEqual(plain);
    }),
  );
});

test.each<[string, 'npy' | 'json', string | Uint8Array, RegExp]>([
  ['an empty list', 'json', '[]', /has 0 elements; 1 to 8192/],
  ['a vector that is too long', 'json', JSON.stringify(Array(8193).fill(0)), /has 8193 elements/],
  [
    'a text as element',
    'json',
    '[1, "2"]',
    /element 1 of the vector in .* is "2"; every element must be a finite/,
  ],
  ['a null for NaN', 'json', '[null]', /element 0 .* is null/],
  ['more than a float32 holds', 'json', '[1e39]', /element 0 .* is 1e\+39/],
  ['an object', 'json', '{"a": 1}', /holds no list/],
  ['broken JSON', 'json', '[1, 2', /is not JSON/],
  ['another format', 'npy', 'hello, this is a text file', /is not a \.npy file/],
  ['an empty file', 'npy', '', /is not a \.npy file/],
  ['integers', 'npy', npy('<i8', '(1,)', new Uint8Array(8)), /type <i8/],
  ['a matrix', 'npy', npy('<f4', '(2, 3)', new Uint8Array(24)), /shape \(2, 3\)/],
  ['a file cut off', 'npy', npy('<f4', '(3,)', new Uint8Array(8)), /shorter than its header says/],
  [
    'NaN',
    'npy',
    npy('<f4', '(1,)', new Uint8Array(Float32Array.of(Number.NaN).buffer)),
    /element 0 .* is NaN/,
  ],
])('%s is refused with a sentence', (_, format, content, message) => {
  expect(() => readVector(file(content), format)).toThrow(message);
});

test('a missing file is named', () => {
  expect(() => readVector('/nowhere.json', 'json')).toThrow('/nowhere.json does not exist');
});

const DIMENSION = 3;

/** Everything in a file of vectors. */
function rowsOf(path: string, format: Format, dimension?: number): { rows: number[][]; paths: string[] } {
  const source = new VectorSource(path, format, dimension);
  const rows: number[][] = [];
  const paths: string[] = [];
  for (const piece of source.pieces()) {
    for (let i = 0; i < piece.count; i++)
      rows.push([...piece.values.subarray(i * piece.dimension, (i + 1) * piece.dimension)]);
    paths.push(...(piece.paths ?? []));
  }
  source.close();
  return { rows, paths };
}

test.each<[Format]>([['npy'], ['fvecs'], ['jsonl'], ['f32']])(
  'many vectors go through a .%s file',
  (format) => {
    const path = join(directory, `many.${format}`);
    rmSync(path, { force: true });
    const vectors = Array.from({ length: 1000 }, (_, i) => [i, Math.fround(Math.sin(i)), -0.5]);
    const sink = new VectorSink(path, format, DIMENSION);
    for (let at = 0; at < vectors.length; at += 300) {
      const some = vectors.slice(at, at + 300);
      const names = some.map((_, i) => `/f${at + i}`);
      sink.write(names, Float32Array.from(some.flat()));
    }
    sink.close();
    const { rows, paths } = rowsOf(path, format, format === 'f32' ? DIMENSION : undefined);
    expect(rows).toEqual(vectors);
    if (format === 'jsonl') expect(paths).toEqual(vectors.map((_, i) => `/f${i}`));
    expect(() => new VectorSink(path, format, DIMENSION)).toThrow('EEXIST');
  },
);

test('bytes and integers become float32', () => {
  const head = Buffer.from([2, 0, 0, 0]);
  const bytes = Buffer.concat([head, Buffer.from([7, 255]), head, Buffer.from([0, 1])]);
  expect(rowsOf(file(bytes), 'bvecs').rows).toEqual([
    [7, 255],
    [0, 1],
  ]);
  const words = Buffer.alloc(12);
  words.writeInt32LE(2, 0);
  words.writeInt32LE(-9, 4);
  words.writeInt32LE(70_000, 8);
  expect(rowsOf(file(words), 'ivecs').rows).toEqual([[-9, 70_000]]);
});

test.each<[string, Format, string | Uint8Array, string]>([
  ['cut short', 'fvecs', new Uint8Array([2, 0, 0, 0, 1, 1, 1, 1]), 'bytes'],
  ['of a dimension that cannot be', 'fvecs', new Uint8Array([255, 255, 255, 127]), 'elements'],
  ['empty', 'fvecs', '', 'is empty'],
  ['of one dimension', 'npy', npy('<f4', '(3,)', new Uint8Array(12)), 'shape'],
  ['shorter than it says', 'npy', npy('<f4', '(2, 3)', new Uint8Array(12)), 'shorter'],
  ['of whole numbers', 'npy', npy('<i8', '(1, 1)', new Uint8Array(8)), '<i8'],
  ['no list of numbers', 'jsonl', '[1]\n{"vector": ["x"]}\n', 'line 2'],
  ['no JSON', 'jsonl', '[1]\nnonsense\n', 'line 2'],
])('a file of vectors that is %s is refused', (_, format, content, reason) => {
  expect(() => rowsOf(file(content), format)).toThrow(reason);
});

test('any bytes are vectors or one sentence, and never a crash', () => {
  const formats = fc.constantFrom<Format>('npy', 'fvecs', 'ivecs', 'bvecs', 'jsonl', 'f32');
  fc.assert(
    fc.property(formats, fc.uint8Array({ maxLength: 200 }), (format, bytes) => {
      try {
        rowsOf(file(bytes), format, 1);
      } catch (error) {
        expect((error as Error).name).toBe('UserError');
      }
    }),
  );
});

test('the progress line says how fast and how long', () => {
  expect(progressLine(1000, 4000, 2)).toBe(
    '[#####               ] 1,000 of 4,000 vectors, 500 a second, 6 s left',
  );
  expect(progressLine(1000, undefined, 2)).toBe('1,000 vectors, 500 a second');
});
