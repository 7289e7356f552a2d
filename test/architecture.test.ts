/** The style rules that a reader relies on, as tests: which folder may import which, and what no file may contain. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url).pathname;
const AREAS = ['cli', 'actors', 'fuse', 'kernels', 'runtime', 'bench', 'test'] as const;

/** Areas each area may import from, itself included. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  runtime: ['runtime'],
  kernels: ['kernels', 'runtime'],
  fuse: ['fuse', 'runtime'],
  actors: ['actors', 'fuse', 'kernels', 'runtime'],
  cli: ['cli', 'actors', 'fuse', 'kernels', 'runtime'],
  bench: AREAS,
  test: AREAS,
};

function sources(area: string): string[] {
  return readdirSync(join(ROOT, area), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
    .map((name) => join(area, name));
}

function relativeImports(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const found = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)];
  return found.map((match) => relative(ROOT, join(ROOT, dirname(file), match[1]!)));
}

for (const area of AREAS) {
  test(`${area}/ imports only from ${MAY_IMPORT[area]!.join(', ')}`, () => {
    for (const file of sources(area)) {
      for (const target of relativeImports(file)) {
        expect(MAY_IMPORT[area], `${file} imports ${target}`).toContain(target.split('/')[0]);
      }
    }
  });
}

test('no actor imports the folder of another actor, except that main starts them all by name', () => {
  for (const file of sources('actors')) {
    const own = file.split('/').length > 2 ? file.split('/')[1] : undefined;
    if (own === undefined) continue;
    for (const target of relativeImports(file)) {
      const [area, folder, ...rest] = target.split('/');
      if (area === 'actors' && rest.length > 0) expect(folder, `${file} imports ${target}`).toBe(own);
    }
  }
});

test('every shared-memory file opens with its contract', () => {
  for (const file of ['runtime', 'fuse', 'actors'].flatMap(sources)) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    if (!/\bAtomics\.(store|compareExchange|add|sub|exchange)\(/.test(text)) continue;
    const opening = /^\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? '';
    expect(/invariants|contract|^ \* 1\./im.test(opening), `${file} does not open with its contract`).toBe(
      true,
    );
  }
});
