import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { readVector } from '../../cli/vector-files.ts';

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
  expect(() => readVector('/nowhere.json', 'json')).toThrow('/nowhere.json cannot be read (ENOENT)');
});
