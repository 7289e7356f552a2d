/** Vectors to be compressed: the product's own embeddings of real text, and what is made by chance. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { copyNormalised } from '../../kernels/hnsw/vector-index.ts';
import { chunkText } from '../../kernels/text/chunk.ts';
import { EMBEDDING_DIMENSION, Embedder } from '../../kernels/text/embedder.ts';
import { loadWords } from '../../kernels/text/words.ts';
import { readWords } from '../../kernels/text/words-file.ts';
import { Random } from '../../test/kernels/random.ts';

export interface DataSet {
  readonly name: string;
  readonly dimension: number;
  readonly vectors: readonly Float32Array[];
}

/** All text in a file or folder. A collection in SMART format (`.I`, `.W`) is taken apart into its documents. */
function textsOf(path: string): string[] {
  if (statSync(path).isDirectory()) return readdirSync(path).flatMap((name) => textsOf(join(path, name)));
  const text = readFileSync(path, 'utf8');
  if (!text.startsWith('.I ')) return [text];
  return text.split(/^\.I .*$/m).map((entry) => entry.slice(entry.indexOf('\n.W') + 3));
}

/** As a shard holds them: normalised once more. */
export function embeddingsOf(path: string): DataSet {
  const embedder = new Embedder(loadWords(readWords()));
  const vectors: Float32Array[] = [];
  for (const text of textsOf(path)) {
    for (const { start, end } of chunkText(text)) {
      const vector = new Float32Array(EMBEDDING_DIMENSION);
      if (embedder.embedInto(text.slice(start, end), {}, vector)) vectors.push(normalised(vector));
    }
  }
  return { name: `embeddings of ${path}`, dimension: EMBEDDING_DIMENSION, vectors };
}

function normalised(vector: Float32Array): Float32Array {
  const unit = new Float32Array(vector.length);
  copyNormalised(vector, unit, 0);
  return unit;
}

export function madeByChance(count: number): DataSet[] {
  const random = new Random(1);
  const bytes = (): Float32Array =>
    Float32Array.from({ length: 128 }, () => Math.floor(random.next() * random.next() * 180));
  const words = (): Float32Array =>
    new Float32Array(Int32Array.from({ length: 384 }, () => random.below(2 ** 32)).buffer);
  const set = (name: string, make: () => Float32Array): DataSet => {
    const vectors = Array.from({ length: count }, make);
    return { name, dimension: vectors[0]!.length, vectors };
  };
  return [
    set('unit vectors of chance', () => normalised(random.vector(384))),
    set('standard normal', () => random.vector(128)),
    set('whole numbers below 180', bytes),
    set('bits of chance', words),
  ];
}
