/**
 * Files of many vectors, read in pieces of bounded size and written from the front:
 *
 *   .npy            NumPy, two dimensions, float32 or float64, in C order
 *   .fvecs .ivecs .bvecs   each vector as its dimension (int32) and its elements: float32, int32, uint8
 *                   (http://corpus-texmex.irisa.fr)
 *   .jsonl          a line a vector: {"path": …, "vector": […]} or […]
 *   .f32            little-endian float32 and nothing else; the dimension must be given
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { MIB, VECTOR_DIMENSION_MAX } from '../runtime/config/bounds.ts';
import { UserError } from '../runtime/user-error.ts';
import { NPY_HEADER_MAX, npyHeader } from './npy.ts';
import { describeFileError } from './system-errors.ts';

export const FORMATS = ['npy', 'fvecs', 'ivecs', 'bvecs', 'jsonl', 'f32'] as const;
export type Format = (typeof FORMATS)[number];

export interface Piece {
  readonly count: number;
  readonly dimension: number;
  /** One after the other. */
  readonly values: Float32Array;
  /** Where the file names them. */
  readonly paths: readonly string[] | undefined;
}

/** Bytes of a file that are read at once, and of vectors that are handed on at once. */
const READ_BYTES = 4 * MIB;
const WIDTHS: Readonly<Record<string, number>> = { fvecs: 4, ivecs: 4, bvecs: 1 };

/** By the ending of the name. */
export function formatOf(file: string): Format {
  const ending = /\.([a-z0-9]+)$/i.exec(file)?.[1]?.toLowerCase();
  const format = FORMATS.find((one) => one === ending) ?? (ending === 'json' ? 'jsonl' : undefined);
  if (format !== undefined) return format;
  throw new UserError(
    `the format of ${file} cannot be told from its name; give --format ${FORMATS.join(' | ')}`,
  );
}

/** A vector file that is open for reading. */
export class VectorSource {
  /** Vectors in the file; undefined where that is only known at its end. */
  readonly count: number | undefined;
  readonly bytes: number;
  readonly #name: string;
  readonly #descriptor: number;
  readonly #format: Format;
  readonly #dimension: number;
  readonly #isDouble: boolean;
  #position: number;

  /** `dimension`: of .f32 alone. @throws {UserError} when the file is not what it is said to be */
  constructor(name: string, format: Format, dimension: number | undefined) {
    this.#name = name;
    this.#format = format;
    try {
      this.#descriptor = openSync(name, 'r');
    } catch (error) {
      throw new UserError(describeFileError(name, error));
    }
    this.bytes = fstatSync(this.#descriptor).size;
    const header = this.#header(dimension);
    this.#position = header.start;
    this.#dimension = header.dimension;
    this.#isDouble = header.isDouble;
    this.count = header.count;
    if (this.count !== undefined && (this.#dimension < 1 || this.#dimension > VECTOR_DIMENSION_MAX)) {
      throw this.#wrong(
        `has vectors of ${this.#dimension} elements; 1 to ${VECTOR_DIMENSION_MAX} are allowed`,
      );
    }
  }

  /** The rest of the file, piece by piece, with vectors of one dimension each. */
  *pieces(): Generator<Piece> {
    if (this.#format === 'jsonl') yield* this.#lines();
    else if (this.#format in WIDTHS) yield* this.#records(4 + this.#dimension * WIDTHS[this.#format]!);
    else yield* this.#rows(this.#dimension * (this.#isDouble ? 8 : 4));
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #header(given: number | undefined): {
    start: number;
    dimension: number;
    count: number | undefined;
    isDouble: boolean;
  } {
    const plain = { start: 0, isDouble: false };
    if (this.#format === 'jsonl') return { ...plain, dimension: 0, count: undefined };
    if (this.#format === 'npy') return this.#npyHeader();
    if (this.#format === 'f32') {
      if (given === undefined)
        throw new UserError('a .f32 file does not say how long its vectors are; give --dimension');
      return { ...plain, dimension: given, count: this.#whole(this.bytes, given * 4) };
    }
    const first = this.#read(0, 4);
    if (first.length < 4) throw this.#wrong('is empty');
    const dimension = first.readInt32LE(0);
    if (dimension < 1 || dimension > VECTOR_DIMENSION_MAX) return { ...plain, dimension, count: 0 };
    return { ...plain, dimension, count: this.#whole(this.bytes, 4 + dimension * WIDTHS[this.#format]!) };
  }

  #npyHeader(): { start: number; dimension: number; count: number; isDouble: boolean } {
    const header = npyHeader(this.#read(0, NPY_HEADER_MAX));
    if (typeof header === 'string') throw this.#wrong(header);
    const { end: start, shape, isDouble, isFortranOrder } = header;
    if (shape.length !== 2)
      throw this.#wrong(`has the shape (${shape.join(', ')}); one row for each vector is needed`);
    if (isFortranOrder) throw this.#wrong('is in Fortran order; save numpy.ascontiguousarray(it)');
    const [count, dimension] = shape as [number, number];
    if (this.bytes - start < count * dimension * (isDouble ? 8 : 4))
      throw this.#wrong('is shorter than its header says');
    return { start, dimension, count, isDouble };
  }

  *#rows(width: number): Generator<Piece> {
    let left = this.count!;
    for (const bytes of this.#wholes(width)) {
      const count = Math.min(left, bytes.length / width);
      left -= count;
      const copy = new Uint8Array(bytes.subarray(0, count * width)).buffer;
      const values = this.#isDouble ? Float32Array.from(new Float64Array(copy)) : new Float32Array(copy);
      if (count > 0) yield { count, dimension: this.#dimension, values, paths: undefined };
    }
  }

  *#records(width: number): Generator<Piece> {
    const dimension = this.#dimension;
    let first = 0;
    for (const bytes of this.#wholes(width)) {
      const count = bytes.length / width;
      const values = new Float32Array(count * dimension);
      for (let i = 0; i < count; i++) {
        const at = i * width;
        const own = bytes.readInt32LE(at);
        if (own !== dimension)
          throw this.#wrong(
            `has a vector of ${own} elements, number ${first + i}, among others of ${dimension}`,
          );
        for (let e = 0; e < dimension; e++) values[i * dimension + e] = this.#element(bytes, at + 4, e);
      }
      first += count;
      yield { count, dimension, values, paths: undefined };
    }
  }

  #element(bytes: Buffer, at: number, e: number): number {
    if (this.#format === 'bvecs') return bytes[at + e]!;
    return this.#format === 'ivecs' ? bytes.readInt32LE(at + 4 * e) : bytes.readFloatLE(at + 4 * e);
  }

  *#lines(): Generator<Piece> {
    const decoder = new StringDecoder('utf8');
    let rest = '';
    let number = 0;
    let rows: { path: string | undefined; vector: number[] }[] = [];
    for (;;) {
      const bytes = this.#read(this.#position, READ_BYTES);
      this.#position += bytes.length;
      const lines = (rest + (bytes.length === 0 ? `${decoder.end()}\n` : decoder.write(bytes))).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        number++;
        if (line.trim() === '') continue;
        const row = this.#line(line, number);
        if (rows.length > 0 && isAnother(rows[0]!, row)) {
          yield pieceOf(rows);
          rows = [];
        }
        rows.push(row);
      }
      if (rows.length > 0) yield pieceOf(rows);
      rows = [];
      if (bytes.length === 0) return;
    }
  }

  #line(line: string, number: number): { path: string | undefined; vector: number[] } {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw this.#wrong(`has a line that is not JSON, line ${number}`);
    }
    const { path, vector } = (Array.isArray(value) ? { vector: value } : (value ?? {})) as Record<
      string,
      unknown
    >;
    const isVector = Array.isArray(vector) && vector.length > 0 && vector.every((e) => typeof e === 'number');
    if (!isVector) throw this.#wrong(`has no list of numbers, or no "vector" with one, in line ${number}`);
    if (path !== undefined && typeof path !== 'string')
      throw this.#wrong(`has a "path" that is no text in line ${number}`);
    return { path, vector: vector as number[] };
  }

  /** Pieces of the file that are whole multiples of `width`, up to its end. */
  *#wholes(width: number): Generator<Buffer> {
    const step = Math.max(1, Math.floor(READ_BYTES / width)) * width;
    for (;;) {
      const bytes = this.#read(this.#position, step);
      const whole = bytes.length - (bytes.length % width);
      if (whole === 0) return;
      this.#position += whole;
      yield bytes.subarray(0, whole);
    }
  }

  #whole(bytes: number, width: number): number {
    if (bytes % width !== 0)
      throw this.#wrong(`has ${bytes} bytes, which are not vectors of ${width} bytes each`);
    return bytes / width;
  }

  #read(position: number, length: number): Buffer {
    const buffer = Buffer.alloc(Math.max(0, Math.min(length, this.bytes - position)));
    let at = 0;
    while (at < buffer.length) {
      const got = readSync(this.#descriptor, buffer, at, buffer.length - at, position + at);
      if (got === 0) break;
      at += got;
    }
    return buffer.subarray(0, at);
  }

  #wrong(what: string): UserError {
    return new UserError(`${this.#name} ${what}`);
  }
}

function isAnother(
  a: { readonly path: string | undefined; readonly vector: readonly number[] },
  b: { readonly path: string | undefined; readonly vector: readonly number[] },
): boolean {
  return a.vector.length !== b.vector.length || (a.path === undefined) !== (b.path === undefined);
}

function pieceOf(
  rows: readonly { readonly path: string | undefined; readonly vector: readonly number[] }[],
): Piece {
  const dimension = rows[0]!.vector.length;
  const values = new Float32Array(rows.length * dimension);
  for (const [i, { vector }] of rows.entries()) values.set(vector, i * dimension);
  const paths = rows[0]!.path === undefined ? undefined : rows.map(({ path }) => path!);
  return { count: rows.length, dimension, values, paths };
}

/** A vector file that is being written. */
export class VectorSink {
  count = 0;
  readonly #descriptor: number;
  readonly #format: Format;
  readonly #dimension: number;

  constructor(name: string, format: Format, dimension: number) {
    if (format === 'ivecs' || format === 'bvecs') {
      throw new UserError(`vectors are float32: export them as npy, fvecs, jsonl or f32, not ${format}`);
    }
    this.#format = format;
    this.#dimension = dimension;
    this.#descriptor = openSync(name, 'wx');
    if (format === 'npy') writeSync(this.#descriptor, this.#npyHeader());
  }

  write(paths: readonly string[], values: Float32Array): void {
    this.count += paths.length;
    const dimension = this.#dimension;
    if (this.#format === 'jsonl') {
      const lines = paths.map((path, i) =>
        JSON.stringify({ path, vector: Array.from(values.subarray(i * dimension, (i + 1) * dimension)) }),
      );
      this.#append(Buffer.from(`${lines.join('\n')}\n`));
      return;
    }
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    if (this.#format !== 'fvecs') {
      this.#append(bytes);
      return;
    }
    const width = 4 + dimension * 4;
    const records = Buffer.alloc(paths.length * width);
    for (let i = 0; i < paths.length; i++) {
      records.writeInt32LE(dimension, i * width);
      bytes.copy(records, i * width + 4, i * dimension * 4, (i + 1) * dimension * 4);
    }
    this.#append(records);
  }

  /** The number of vectors goes into the header. */
  close(): void {
    if (this.#format === 'npy') writeSync(this.#descriptor, this.#npyHeader(), 0, 128, 0);
    closeSync(this.#descriptor);
  }

  /** 128 bytes, whatever the number is. */
  #npyHeader(): Buffer {
    const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${this.count}, ${this.#dimension}), }`;
    const header = Buffer.from(`\x93NUMPY\x01\x00\x00\x00${text.padEnd(117)}\n`, 'latin1');
    header.writeUInt16LE(118, 8);
    return header;
  }

  #append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor, bytes, at);
  }
}
