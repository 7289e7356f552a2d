import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Mounted, NO_FUSE, titled } from './mounted.ts';
import { PLANTED } from './planted.ts';

const FILES = 1200;
const TEXT = /\.(md|txt|ts|js|mjs|json)$/;
const FILE_MAX = 200_000;

/** Real text files: the documentation and sources of the installed packages, in a stable order. */
function realTextFiles(root: string, wanted: number): string[] {
  const found: string[] = [];
  const walk = (dir: string): void => {
    for (const entry of readdirSync(dir, { withFileTypes: true }).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      if (found.length >= wanted) return;
      // Caches of running programs change while we look.
      if (entry.name.startsWith('.')) continue;
      const path = join(dir, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && TEXT.test(entry.name) && statSync(path).size <= FILE_MAX) found.push(path);
    }
  };
  walk(root);
  return found;
}

describe.skipIf(NO_FUSE)(titled('mount, write, search, remount', NO_FUSE), () => {
  const modules = new URL('../../../node_modules', import.meta.url).pathname;
  const sources = realTextFiles(modules, FILES);
  let fs: Mounted;

  beforeAll(() => {
    fs = new Mounted();
    fs.mount();
  });
  afterAll(() => fs?.dispose());

  const inMount = (source: string): string => join(fs.dir, 'library', relative(modules, source));

  const compareEveryByte = (): void => {
    for (const source of sources) {
      expect(readFileSync(inMount(source)).equals(readFileSync(source)), source).toBe(true);
    }
  };

  const answers = (): string[][] =>
    PLANTED.map(({ query }) => {
      const found = JSON.parse(fs.ok(['search', query, '--mount', fs.dir, '-k', '10', '--json'])) as {
        path: string;
      }[];
      return found.map(({ path }) => path);
    });

  let before: string[][] = [];

  test('a thousand real text files copied in read back byte for byte', () => {
    expect(sources.length).toBeGreaterThanOrEqual(1000);
    for (const source of sources) {
      mkdirSync(dirname(inMount(source)), { recursive: true });
      cpSync(source, inMount(source));
    }
    mkdirSync(join(fs.dir, 'notes'));
    for (const { name, text } of PLANTED) writeFileSync(join(fs.dir, 'notes', name), text);
    compareEveryByte();
  });

  test('each planted document is among the first three for a paraphrase of it', () => {
    fs.ok(['index', 'wait', fs.dir], 240_000);
    before = answers();
    PLANTED.forEach(({ name }, i) => {
      expect(before[i]!.slice(0, 3), PLANTED[i]!.query).toContainEqual(
        expect.stringMatching(new RegExp(`notes/${name}$`)),
      );
    });
  }, 300_000);

  test('the search directory lists the same answer as links that lead to the files', () => {
    const { name, query, text } = PLANTED[0]!;
    const links = readdirSync(join(fs.dir, '.vexfs/search', query));
    const link = links.slice(0, 3).find((entry) => entry.endsWith(name));
    expect(link).toBeDefined();
    expect(readFileSync(join(fs.dir, '.vexfs/search', query, link!), 'utf8')).toBe(text);
  });

  test('after unmount and mount every byte and every answer is as before', () => {
    fs.unmount();
    expect(readdirSync(fs.dir)).toEqual([]);
    fs.mount();
    compareEveryByte();
    expect(answers()).toEqual(before);
  }, 300_000);
});
