/**
 * Where the keys of a TOML document stand, for messages that name a line. The parser proper reports positions
 * only of syntax errors; this scanner is run on documents it has already accepted, so it never reports any.
 */
export interface Place {
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

class Scanner {
  readonly places = new Map<string, Place>();
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    let table: string[] = [];
    for (;;) {
      this.#skip(/[\s\uFEFF]*(?:#[^\n]*[\s]*)*/y);
      if (this.#at >= this.#text.length) return;
      const start = this.#at;
      if (this.#skip(/\[{1,2}/y)) {
        table = this.#key();
        this.#record(table, start);
        this.#skip(/[\]\s]+/y);
      } else {
        this.#assignment(table);
      }
      // A document the parser accepted always moves on; anything else must not hang a message.
      if (this.#at === start) return;
    }
  }

  #assignment(table: readonly string[]): void {
    const start = this.#at;
    const path = [...table, ...this.#key()];
    this.#record(path, start);
    this.#skip(/\s*=\s*/y);
    this.#value(path);
  }

  #key(): string[] {
    const parts: string[] = [];
    do {
      this.#skip(/[ \t]+/y);
      const part = this.#take(/"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+/y);
      if (part === '') break;
      parts.push(nameOf(part));
      this.#skip(/[ \t]+/y);
    } while (this.#skip(/\./y));
    return parts;
  }

  #value(path: readonly string[]): void {
    if (this.#skip(/"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*"{3,5}|'''(?:[^']|'{1,2}(?!'))*'{3,5}/y)) return;
    if (this.#skip(/"(?:[^"\\\n]|\\.)*"|'[^'\n]*'/y)) return;
    if (this.#skip(/\[/y)) this.#elements(/\]/y, () => this.#value(path));
    else if (this.#skip(/\{/y)) this.#elements(/\}/y, () => this.#assignment(path));
    else this.#skip(/[^,\]}#\n]+/y);
  }

  #elements(end: RegExp, element: () => void): void {
    for (;;) {
      this.#skip(/[\s,]*(?:#[^\n]*[\s,]*)*/y);
      const start = this.#at;
      if (this.#skip(end)) return;
      element();
      if (this.#at === start) return;
    }
  }

  #record(path: readonly string[], start: number): void {
    const name = path.join('.');
    if (this.places.has(name)) return;
    const before = this.#text.slice(0, start);
    const line = before.split('\n').length;
    this.places.set(name, { line, column: start - before.lastIndexOf('\n') });
  }

  #skip(pattern: RegExp): boolean {
    return this.#take(pattern) !== '';
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += text.length;
    return text;
  }
}

/** The name that a part of a key stands for. TOML's escapes that JSON does not have are left as they are. */
function nameOf(part: string): string {
  if (part.startsWith("'")) return part.slice(1, -1);
  if (!part.startsWith('"')) return part;
  try {
    return JSON.parse(part) as string;
  } catch {
    return part.slice(1, -1);
  }
}

/** Key path joined by dots ("store.inline_limit") → where it is first written. */
export function locateKeys(toml: string): ReadonlyMap<string, Place> {
  const scanner = new Scanner(toml);
  scanner.document();
  return scanner.places;
}
