/** What the documents say is checked where it can be: names of files and tests, links, and the default configuration. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { DECLARED } from '../runtime/config/fields.ts';
import { printConfig, printKeys } from '../runtime/config/print.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const DOCUMENTS = [
  'README.md',
  'ARCHITECTURE.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

test('docs/CONFIGURATION.md holds the default configuration', () => {
  expect(read('docs/CONFIGURATION.md')).toContain(`\`\`\`toml\n${printConfig(DECLARED)}\`\`\`\n`);
});

test('docs/CONFIGURATION.md has the table of every key', () => {
  expect(read('docs/CONFIGURATION.md')).toContain(`\n\n${printKeys(DECLARED)}\n`);
});

test.each(DOCUMENTS)('%s names only files and folders that exist', (document) => {
  const text = read(document);
  for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)) {
    expect(existsSync(join(ROOT, dirname(document), target!)), `link to ${target}`).toBe(true);
  }
  const paths = /`((?:runtime|kernels|fuse|actors|cli|bench|test|docs)\/[\w./-]+)`/g;
  for (const [, path] of text.matchAll(paths)) expect(existsSync(join(ROOT, path!)), path).toBe(true);
});

test('docs/SEMANTICS.md names tests that exist', () => {
  const named = [...read('docs/SEMANTICS.md').matchAll(/^- `(test\/[^`]+)`: (.+)$/gm)];
  expect(named.length).toBeGreaterThan(20);
  for (const [, file, title] of named) expect(read(file!), `${file}: ${title}`).toContain(title);
});
