/** The part of a chunk to show beside a result: the line that answers the query best, and what follows it. */
import type { Relevance } from './relevance.ts';

export interface Snippet {
  /** One line of at most `maxLength` characters, without control characters or runs of spaces. */
  readonly text: string;
  /** Lines between the start of the given text and the snippet: add the chunk's line. */
  readonly line: number;
  /** Position of the snippet in the given text, UTF-16 units. */
  readonly start: number;
}

const USUAL_LENGTH = 160;

/** Snippet of a chunk. Without any word of the query in it, its first line that is not blank. */
export function snippet(text: string, relevance: Relevance, maxLength = USUAL_LENGTH): Snippet {
  let best = { start: 0, end: 0, line: 0 };
  let bestScore = -1;
  let line = 0;
  for (let from = 0; from < text.length; ) {
    const newline = text.indexOf('\n', from);
    const lineEnd = newline < 0 ? text.length : newline;
    for (let start = from; start < lineEnd; ) {
      const end = pieceEnd(text, start, lineEnd, maxLength);
      const score = isBlank(text, start, end) ? -1 : relevance.score(text, start, end);
      if (score > bestScore) {
        bestScore = score;
        best = { start, end, line };
      }
      start = end;
    }
    from = lineEnd + 1;
    line++;
  }
  const { start, line: first } = widened(text, best, maxLength);
  return { text: shown(text, start, maxLength), line: first, start };
}

/** A line at the end of a paragraph says little alone: the lines before it come too, as long as all of it fits. */
function widened(text: string, best: { start: number; line: number }, maxLength: number): typeof best {
  let { start, line } = best;
  const end = start + endOfParagraph(text.slice(start, start + maxLength + 1));
  while (start > 0 && text[start - 1] === '\n') {
    const previous = start === 1 ? 0 : text.lastIndexOf('\n', start - 2) + 1;
    if (isBlank(text, previous, start) || end - previous > maxLength) break;
    start = previous;
    line--;
  }
  return { start, line };
}

/** A line longer than `maxLength` is looked at in pieces, cut at spaces where there are any. */
function pieceEnd(text: string, start: number, lineEnd: number, maxLength: number): number {
  if (lineEnd - start <= maxLength) return lineEnd;
  const limit = start + maxLength;
  const space = text.lastIndexOf(' ', limit - 1);
  if (space > start + maxLength / 2) return space + 1;
  const last = text.charCodeAt(limit - 1);
  return last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit;
}

function isBlank(text: string, start: number, end: number): boolean {
  return text.slice(start, end).trim() === '';
}

/** From `start` on, up to the next blank line or `maxLength`. */
function shown(text: string, start: number, maxLength: number): string {
  const rough = text.slice(start, start + maxLength * 2);
  const paragraph = rough.slice(0, endOfParagraph(rough));
  const clean = Array.from(paragraph.replace(UNPRINTABLE, ' ').trim());
  return clean.length <= maxLength
    ? clean.join('')
    : `${clean
        .slice(0, maxLength - 1)
        .join('')
        .trimEnd()}…`;
}

/** Spaces, controls, and the marks that would turn the direction of what is printed after the snippet. */
const UNPRINTABLE = /[\s\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/gu;

function endOfParagraph(text: string): number {
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) {
    const next = text.indexOf('\n', at + 1);
    if (next >= 0 && isBlank(text, at, next)) return at;
  }
  return text.length;
}
