/** One vector as a file: NumPy's .npy, and JSON. */
import { readFileSync } from 'node:fs';
import { VECTOR_DIMENSION_MAX } from '../runtime/config/bounds.ts';
import { UserError } from '../runtime/user-error.ts';
import { npyHeader } from './npy.ts';
import { describeFileError } from './system-errors.ts';

/** @throws {UserError} unless `file` ("-" = stdin) holds one vector of 1 to 8,192 finite numbers. */
export function readVector(file: string, format: 'npy' | 'json'): Float32Array {
  const name = file === '-' ? 'standard input' : file;
  const bytes = readBytes(file, name);
  return checkVector(format === 'npy' ? parseNpy(bytes, name) : parseJson(bytes, name), name);
}

function readBytes(file: string, name: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    const hint = name.startsWith('[')
      ? '; a vector is read from a file, or with "-" from standard input'
      : '';
    throw new UserError(describeFileError(name, error) + hint);
  }
}

function parseJson(bytes: Buffer, name: string): ArrayLike<unknown> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new UserError(`${name} is not JSON; a vector is a list of numbers, such as [0.1, -2, 3e-4]`);
  }
  if (Array.isArray(value)) return value;
  throw new UserError(`${name} holds no list; a vector is a list of numbers, such as [0.1, -2, 3e-4]`);
}

function parseNpy(bytes: Buffer, name: string): Float32Array | Float64Array {
  const refuse = (why: string): UserError => new UserError(`${name} ${why}; save one vector with numpy.save`);
  const header = npyHeader(bytes);
  if (typeof header === 'string') throw refuse(header);
  const { end, shape, isDouble } = header;
  if (shape.filter((length) => length !== 1).length > 1) throw refuse(`has the shape (${shape.join(', ')})`);
  const length = shape.reduce((product, n) => product * n, 1);
  const width = isDouble ? 8 : 4;
  if (bytes.length < end + length * width) throw refuse('is shorter than its header says');
  // A copy, since the elements may not be aligned in the file.
  const data = new Uint8Array(bytes.subarray(end, end + length * width)).buffer;
  return isDouble ? new Float64Array(data) : new Float32Array(data);
}

function checkVector(values: ArrayLike<unknown>, name: string): Float32Array {
  if (values.length < 1 || values.length > VECTOR_DIMENSION_MAX) {
    throw new UserError(
      `the vector in ${name} has ${values.length} elements; 1 to ${VECTOR_DIMENSION_MAX} are allowed`,
    );
  }
  const vector = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const element = typeof value === 'number' ? Math.fround(value) : Number.NaN;
    if (!Number.isFinite(element)) {
      const shown = typeof value === 'number' ? String(value) : JSON.stringify(value);
      throw new UserError(
        `element ${i} of the vector in ${name} is ${shown}; every element must be a finite float32`,
      );
    }
    vector[i] = element;
  }
  return vector;
}
