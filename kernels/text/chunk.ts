/**
 * Cuts a text into chunks small enough to be about one thing: at paragraphs where possible, else at lines,
 * sentences, words, and in the worst case anywhere between two characters. Chunks overlap a little where the
 * cut is not between paragraphs, so that a statement at the border is whole in one of them.
 */
import { assert } from '../../runtime/assert.ts';
import { type Encoding, encodedBytes } from './decode.ts';

export interface Chunk {
  /** Range in the decoded text, UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** Range in the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
  /** 1-based line on which the chunk starts. */
  readonly line: number;
}

export interface ChunkOptions {
  readonly encoding?: Encoding;
  /** Byte offset of the text in its file. */
  readonly start?: number;
  /** No more chunks than this; what comes after is left out (the last chunk then ends before the text does). */
  readonly maxChunks?: number;
}

/** Sizes in UTF-16 units. A cut is looked for between MIN and MAX, from the end. */
const CHUNK_MIN = 900;
export const CHUNK_MAX = 1500;
export const CHUNK_OVERLAP = 150;

/** Chunks of the text in order, together covering all of it; none when it is blank. */
export function chunkText(text: string, options: ChunkOptions = {}): Chunk[] {
  const { encoding = 'utf-8', maxChunks = Number.POSITIVE_INFINITY } = options;
  const chunks: Chunk[] = [];
  if (text.trim() === '') return chunks;
  let start = 0;
  let byteOffset = options.start ?? 0;
  let line = 1;
  while (chunks.length < maxChunks) {
    const end = text.length - start <= CHUNK_MAX ? text.length : cutAfter(text, start);
    chunks.push({ start, end, byteOffset, byteLength: encodedBytes(text, start, end, encoding), line });
    if (end === text.length) break;
    const next = overlapStart(text, start, end);
    assert(next > start && next <= end, 'chunks must advance and leave no gap');
    byteOffset += encodedBytes(text, start, next, encoding);
    line += countNewlines(text, start, next);
    start = next;
  }
  return chunks;
}

/** End of the chunk that begins at `start`: the best kind of border there is, and of these the last. */
function cutAfter(text: string, start: number): number {
  const from = start + CHUNK_MIN;
  const to = start + CHUNK_MAX;
  let afterLine = 0;
  let afterSentence = 0;
  let afterWord = 0;
  for (let at = to; at > from; at--) {
    const before = text.charCodeAt(at - 1);
    if (before === NEWLINE) {
      if (isBlankLineBefore(text, at)) return at;
      if (afterLine === 0) afterLine = at;
    } else if (isSpace(before)) {
      if (afterWord === 0) afterWord = at;
      if (afterSentence === 0 && SENTENCE_ENDS.includes(text[at - 2]!)) afterSentence = at;
    } else if (afterSentence === 0 && (before === IDEOGRAPHIC_FULL_STOP || before === FULLWIDTH_FULL_STOP)) {
      afterSentence = at;
    }
  }
  return afterLine || afterSentence || afterWord || characterBorder(text, to);
}

const NEWLINE = 0x0a;
const IDEOGRAPHIC_FULL_STOP = 0x3002;
const FULLWIDTH_FULL_STOP = 0xff0e;
const SENTENCE_ENDS = '.!?;:';

function isSpace(unit: number): boolean {
  return (
    unit === 0x20 || unit === 0x09 || unit === 0x0d || unit === 0x3000 || unit === 0x2028 || unit === 0x2029
  );
}

/** Whether the line that ends at `at` (just after its newline) has nothing on it. */
function isBlankLineBefore(text: string, at: number): boolean {
  for (let i = at - 2; i >= 0; i--) {
    const unit = text.charCodeAt(i);
    if (unit === NEWLINE) return true;
    if (!isSpace(unit)) return false;
  }
  return true;
}

/** Where the next chunk begins: at `end` between paragraphs, else at a line or word up to CHUNK_OVERLAP before it. */
function overlapStart(text: string, start: number, end: number): number {
  if (text.charCodeAt(end - 1) === NEWLINE && isBlankLineBefore(text, end)) return end;
  const from = Math.max(start + 1, end - CHUNK_OVERLAP);
  let atWord = end;
  for (let at = from; at < end; at++) {
    const before = text.charCodeAt(at - 1);
    if (before === NEWLINE) return at;
    if (atWord === end && isSpace(before)) atWord = at;
  }
  return atWord;
}

/** `at`, or one before it when that would cut a surrogate pair. */
function characterBorder(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  const previous = text.charCodeAt(at - 1);
  return unit >= 0xdc00 && unit <= 0xdfff && previous >= 0xd800 && previous <= 0xdbff ? at - 1 : at;
}

function countNewlines(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) count++;
  return count;
}
