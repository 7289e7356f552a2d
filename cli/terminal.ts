/** What is written for people: colours, aligned tables, one progress line. Programs get `--json` instead. */
import { closeSync, openSync } from 'node:fs';
import { stripVTControlCharacters, styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];
type Stream = NodeJS.WriteStream;

function coloured(stream: Stream): boolean {
  return stream.isTTY === true && (process.env.NO_COLOR ?? '') === '' && process.env.TERM !== 'dumb';
}

/** `text` in colour if stdout is a terminal that wants it. */
export function style(format: Format, text: string): string {
  return coloured(process.stdout) ? styleText(format, text) : text;
}

/**
 * A reader that has seen enough ("| head") and a terminal that was closed are no errors: what is written to them is
 * dropped. A mount goes on, or is unmounted as the terminal's hang-up asks.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
    });
  }
}

/** Whether this process belongs to a terminal that has not hung up. */
export function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/** What a terminal obeys or hides: controls of C0 and C1, and marks that turn or break a line of text. */
const OBEYED = '[\\u0000-\\u001f\\u007f-\\u009f\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]';
const COLOUR = '\\u001b\\[[0-9;]*m';
const ALL_OBEYED = new RegExp(OBEYED, 'g');
const OBEYED_OR_COLOUR = new RegExp(`${COLOUR}|${OBEYED}`, 'g');
const LETTERS: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** As JSON has it, so that JSON stays what it is. */
function escaped(character: string): string {
  return LETTERS[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Text of others (a name, a line of a file) on one line, with "\n" and "\u001b" for what a terminal would obey. */
export function visible(text: string): string {
  return text.replace(ALL_OBEYED, escaped);
}

/** The same for lines that are put together: line ends stay, and colours where `stream` shows any. */
export function harmless(text: string, stream: Stream = process.stdout): string {
  const isColoured = coloured(stream);
  return text.replace(OBEYED_OR_COLOUR, (found) => {
    if (found === '\n' || found === '\t') return found;
    return found.length > 1 && isColoured ? found : found.replace(ALL_OBEYED, escaped);
  });
}

/** One line to stdout. Nothing in it reaches the terminal but text and colours. */
export function print(line = ''): void {
  clearProgress();
  process.stdout.write(`${harmless(line)}\n`);
}

/** Width of the terminal that stdout is; Infinity if it is none. */
export function columns(): number {
  // A terminal that does not know its width says 0.
  return process.stdout.isTTY === true ? process.stdout.columns || 80 : Number.POSITIVE_INFINITY;
}

/** `text` in lines of at most `width` characters, broken at spaces where there are any; none when it is empty. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > width) {
    const space = rest.lastIndexOf(' ', width);
    const end = space > 0 ? space : Math.max(1, width);
    lines.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return rest === '' ? lines : [...lines, rest];
}

let jsonPrinted = false;

/** Whether stdout has got JSON already. */
export function hasPrintedJson(): boolean {
  return jsonPrinted;
}

export function printJson(value: unknown): void {
  jsonPrinted = true;
  print(JSON.stringify(value, undefined, process.stdout.isTTY ? 2 : undefined));
}

/** A sentence for people to stderr, after the program's name. */
export function say(sentence: string): void {
  clearProgress();
  process.stderr.write(`vexfs: ${harmless(sentence, process.stderr)}\n`);
}

let progressShown = false;

/** Shows `text` in the last line of a terminal, replacing what this function put there before. */
export function progress(text: string): void {
  if (process.stderr.isTTY !== true) return;
  // A terminal that does not know its width says 0.
  const room = (process.stderr.columns || 80) - 1;
  process.stderr.write(`\r${visible(text).slice(0, room)}\u001b[K`);
  progressShown = true;
}

export function clearProgress(): void {
  if (progressShown) process.stderr.write('\r\u001b[K');
  progressShown = false;
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** `share`, 0 … 1, as a bar in a field `cells` characters wide. */
export function bar(share: number, cells: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * cells * 8);
  return ('█'.repeat(eighths >> 3) + EIGHTHS[eighths & 7]!).padEnd(cells);
}

/** Columns in the widths they need, two spaces apart; `right` are the indexes of those aligned to the right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const width = (cell: string): number => [...stripVTControlCharacters(cell)].length;
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) =>
    Math.max(...rows.map((row) => width(row[i] ?? ''))),
  );
  return rows.map((row) =>
    row
      .map((cell, i) => {
        const padding = ' '.repeat(widths[i]! - width(cell));
        return right.includes(i) ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd(),
  );
}

/** A table whose first row says what is in the columns. */
export function withHeader(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string[] {
  return table([header.map((name) => style('bold', name)), ...rows], right);
}

/** 1234567 → "1,234,567". */
export function grouped(value: number): string {
  return value.toLocaleString('en-US');
}

/** "1 file", "2 files". */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** "12 s", "3 min 20 s", "2 h 5 min", "4 d 1 h". */
export function duration(seconds: number): string {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** "12.3 µs", "4.5 ms", "1.2 s". */
export function latency(microseconds: number): string {
  if (microseconds < 1000) return `${Number(microseconds.toPrecision(3))} µs`;
  if (microseconds < 1_000_000) return `${Number((microseconds / 1000).toPrecision(3))} ms`;
  return `${Number((microseconds / 1_000_000).toPrecision(3))} s`;
}
