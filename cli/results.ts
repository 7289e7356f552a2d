/** Search results as a person sees them. */
import { relative } from 'node:path';
import { join } from 'node:path/posix';
import type { SearchHit } from './protocol.ts';
import { bar, columns, print, printJson, style, visible, wrapped } from './terminal.ts';

const BAR_CELLS = 8;
const COMMON = new Set(
  'the and for with from that this how what where when who why are was you can does'.split(' '),
);

/** Words of the query, and words that start like them ("rotate", "rotated"), stand out. */
function highlight(snippet: string, query: string): string {
  const wanted = (query.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? []).filter((word) => !COMMON.has(word));
  return snippet.replace(/[\p{L}\p{N}]+/gu, (word) => {
    const lower = word.toLowerCase();
    return wanted.some((w) => lower === w || sameBeginning(lower, w))
      ? style(['bold', 'yellow'], word)
      : word;
  });
}

/** "keys" and "key", "rotating" and "rotate": equal but for a short ending. */
function sameBeginning(a: string, b: string): boolean {
  const stem = Math.max(3, Math.min(a.length, b.length) - 2);
  return Math.abs(a.length - b.length) <= 3 && a.slice(0, stem) === b.slice(0, stem);
}

/** As a shell in the current directory would name it. */
function shownPath(path: string): string {
  const below = relative(process.cwd(), path);
  return below === '' || below.startsWith('../../..') ? path : below;
}

export interface Shown {
  /** Where the filesystem is mounted; paths of hits are absolute within it. */
  readonly directory: string;
  /** Its words are highlighted. */
  readonly query: string;
  readonly nothing: string;
}

/** A path of the filesystem as a path of this machine. */
export function hostPath(directory: string, path: string): string {
  return join(directory, path);
}

export function printHits(hits: readonly Partial<SearchHit>[], shown: Shown): void {
  if (hits.length === 0) print(shown.nothing);
  const rankWidth = String(hits.length).length;
  for (const [i, { path = '', score = 0, line = 0, snippet = '' }] of hits.entries()) {
    const rank = String(i + 1).padStart(rankWidth);
    const place =
      style('cyan', visible(shownPath(hostPath(shown.directory, path)))) + (line > 0 ? `:${line}` : '');
    print(`${style('dim', rank)}  ${style('green', bar(score, BAR_CELLS))} ${score.toFixed(3)}  ${place}`);
    const text = visible(snippet.replace(/\s+/g, ' ').trim());
    for (const row of wrapped(text, columns() - rankWidth - 2))
      print(`${' '.repeat(rankWidth)}  ${highlight(row, shown.query)}`);
  }
}

/** The same for programs: paths of this machine. */
export function printHitsJson(hits: readonly Partial<SearchHit>[], directory: string): void {
  printJson(hits.map((hit) => ({ ...hit, path: hostPath(directory, hit.path ?? '') })));
}
