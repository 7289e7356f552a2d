/** The ways from vectors to bytes and back that are compared. Each gives the same number of vectors back. */
import {
  blockBytesMax,
  VectorBlockDecoder,
  VectorBlockEncoder,
  type VectorForm,
  vectorsPerBlock,
} from '../../kernels/codec/vector-block.ts';
import type { DataSet } from './data.ts';

export interface Path {
  readonly name: string;
  /** Bytes of all vectors. */
  serialise(): number;
  /** Sum of something of what {@link serialise} wrote last, so that it is not done for nothing. */
  parse(): number;
}

/** A Buffer made of each vector, and a Float32Array of each one's bytes. */
export function perVector({ dimension, vectors }: DataSet): Path {
  const bytes = dimension * 4;
  let stored = Buffer.alloc(0);
  return {
    name: 'a Buffer per vector',
    serialise() {
      const parts = vectors.map((vector) => Buffer.copyBytesFrom(vector));
      stored = Buffer.concat(parts);
      return stored.length;
    },
    parse() {
      const parsed: Float32Array[] = [];
      for (let at = 0; at < stored.length; at += bytes) {
        const copy = Uint8Array.prototype.slice.call(stored, at, at + bytes);
        parsed.push(new Float32Array(copy.buffer, copy.byteOffset, dimension));
      }
      return parsed.reduce((sum, vector) => sum + vector[0]!, 0);
    },
  };
}

/** The same with the methods of Buffer for a single float. */
export function perValue({ dimension, vectors }: DataSet): Path {
  let stored = Buffer.alloc(0);
  return {
    name: 'writeFloatLE, readFloatLE',
    serialise() {
      const parts = vectors.map((vector) => {
        const buffer = Buffer.allocUnsafe(dimension * 4);
        for (let i = 0; i < dimension; i++) buffer.writeFloatLE(vector[i]!, i * 4);
        return buffer;
      });
      stored = Buffer.concat(parts);
      return stored.length;
    },
    parse() {
      let sum = 0;
      for (let at = 0; at < stored.length; at += dimension * 4) {
        const vector = new Float32Array(dimension);
        for (let i = 0; i < dimension; i++) vector[i] = stored.readFloatLE(at + i * 4);
        sum += vector[0]!;
      }
      return sum;
    },
  };
}

/** Blocks of the codec, one after the other into a buffer that is used again, as a segment's writer has one. */
export function blocks({ dimension, vectors }: DataSet, form: VectorForm): Path {
  const perBlock = vectorsPerBlock(dimension);
  const encoder = new VectorBlockEncoder();
  const decoder = new VectorBlockDecoder();
  const collected = new Float32Array(perBlock * dimension);
  const out = new Uint8Array(Math.ceil(vectors.length / perBlock) * blockBytesMax(perBlock, dimension));
  let end = 0;
  return {
    name: form,
    serialise() {
      end = 0;
      for (let first = 0; first < vectors.length; first += perBlock) {
        const count = Math.min(perBlock, vectors.length - first);
        for (let i = 0; i < count; i++) collected.set(vectors[first + i]!, i * dimension);
        end = encoder.encode(collected, count, dimension, form, out, end);
      }
      return end;
    },
    parse() {
      let sum = 0;
      for (let at = 0; at < end; ) {
        at = decoder.read(out, at, end);
        const { count, vectors: restored } = decoder;
        for (let i = 0; i < count; i++) sum += restored[i * dimension]!;
      }
      return sum;
    },
  };
}
