/** The header of NumPy's .npy, format 1 to 3 (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). */

/** Bytes that hold the header of any array of one or two dimensions. */
export const NPY_HEADER_MAX = 64 * 1024;

export interface NpyHeader {
  /** Bytes before the elements. */
  readonly end: number;
  readonly shape: readonly number[];
  /** float64, else float32. */
  readonly isDouble: boolean;
  readonly isFortranOrder: boolean;
}

/** Of what begins with `bytes`; or what is wrong with it, to follow the name of the file. */
export function npyHeader(bytes: Buffer): NpyHeader | string {
  if (bytes.length < 12 || bytes.toString('latin1', 0, 6) !== '\x93NUMPY') return 'is not a .npy file';
  const isWide = bytes[6]! >= 2;
  const start = isWide ? 12 : 10;
  const end = start + (isWide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  const text = bytes.toString('latin1', start, end);
  const type = /'descr':\s*'([^']*)'/.exec(text)?.[1];
  if (type !== '<f4' && type !== '<f8') return `has elements of type ${type ?? 'unknown'}, not <f4 or <f8`;
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(text)?.[1] ?? '').match(/\d+/g)?.map(Number) ?? [];
  return { end, shape, isDouble: type === '<f8', isFortranOrder: /'fortran_order':\s*True/.test(text) };
}
