import { Embedder } from '../../kernels/text/embedder.ts';
import { loadWords, type WordTable } from '../../kernels/text/words.ts';
import { readWords } from '../../kernels/text/words-file.ts';

export function builtWords(): WordTable {
  return loadWords(readWords());
}

export function builtEmbedder(): Embedder {
  return new Embedder(builtWords());
}

export function similarity(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
