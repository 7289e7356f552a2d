/** The Piscina task: bytes of files → chunks of each, and their vectors. A pure function apart from the shared word table. */
import { constants, setPriority } from 'node:os';
import { workerData } from 'piscina';
import { chunkText } from '../../kernels/text/chunk.ts';
import { decodeText } from '../../kernels/text/decode.ts';
import { Embedder } from '../../kernels/text/embedder.ts';
import { loadWords } from '../../kernels/text/words.ts';
import { nameThread } from '../../runtime/system/libc.ts';
import type { TextChunk } from '../chunk-batch.ts';

export interface EmbedTask {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** False when `bytes` is only the beginning of the file. */
  readonly complete: boolean;
  readonly title: string;
  readonly maxChunks: number;
}

/** Chunks in the order of the file; undefined when the bytes are not text. */
export type EmbedResult = readonly TextChunk[] | undefined;

nameThread('embed');
// Embedding is never urgent: it takes the time that nobody else wants.
setPriority(constants.priority.PRIORITY_LOW);

const embedder = new Embedder(loadWords((workerData as { words: SharedArrayBuffer }).words));

export default function embedFiles(files: readonly EmbedTask[]): EmbedResult[] {
  return files.map(embedFile);
}

function embedFile({ bytes, complete, title, maxChunks }: EmbedTask): EmbedResult {
  const decoded = decodeText(bytes, complete);
  if (!decoded) return undefined;
  const { text, encoding, start } = decoded;
  const result: TextChunk[] = [];
  for (const chunk of chunkText(text, { encoding, start, maxChunks })) {
    const vector = new Float32Array(embedder.dimension);
    // A chunk without a letter or digit has no direction to be found in.
    if (!embedder.embedInto(text, { title, start: chunk.start, end: chunk.end }, vector)) continue;
    result.push({ byteOffset: chunk.byteOffset, byteLength: chunk.byteLength, line: chunk.line, vector });
  }
  return result;
}
