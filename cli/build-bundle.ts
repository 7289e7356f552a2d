/**
 * Build step: puts the modules of each thread into a few files, `dist/bundle`, which is what is installed. A mount has eight threads,
 * each of which loads 60 to 210 modules of its own: one by one that was half of the CPU time until the mount could be used.
 * Run as `node dist/cli/build-bundle.js` after the compiler.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Plugin, rolldown } from 'rolldown';

const DIST = fileURLToPath(new URL('..', import.meta.url));
const OUTPUT = resolve(DIST, 'bundle');

/** Where a process or a thread begins, by the name that it has in the bundle. */
const ENTRIES: Readonly<Record<string, string>> = {
  vexfs: 'cli/vexfs.js',
  'mount-vexfs': 'cli/mount-vexfs.js',
  thread: 'actors/thread.js',
  'checkpoint-thread': 'actors/io/checkpoint-thread.js',
  'cold-thread': 'actors/cold/thread.js',
  'embed-task': 'actors/indexer/embed-task.js',
};

/** Of a module that a module at `from` names by its URL, as seen from the bundle: another entry, or where the compiler put it. */
function bundledUrl(from: string, name: string): string {
  const target = relative(DIST, resolve(dirname(from), name));
  const entry = Object.entries(ENTRIES).find(([, file]) => file === target);
  return `new URL('${entry === undefined ? `../${target}` : `./${entry[0]}.js`}', import.meta.url)`;
}

/** Modules find each other, and files beside them, by their own URL, which in the bundle is another. */
const urls: Plugin = {
  name: 'urls',
  transform(code, id) {
    if (!code.includes('import.meta.url')) return null;
    const literal = /new URL\('([^']+)', import\.meta\.url\)/g;
    const replaced = code.replace(literal, (_, name: string) => bundledUrl(id, name));
    const own = `new URL('../${relative(DIST, id)}', import.meta.url).href`;
    const rest = /(?<!new URL\('[^']+', )import\.meta\.url/g;
    return { code: replaced.replace(rest, own), map: null };
  },
};

/** Packages with code of the machine, or with threads that begin in a file of their own. */
const EXTERNAL = ['hnswlib-wasm', 'koffi', 'piscina', 'zstd-napi'];

function isExternal(id: string): boolean {
  return id.startsWith('node:') || EXTERNAL.some((name) => id === name || id.startsWith(`${name}/`));
}
/** The licences of the packages that modules of the bundle are from. */
function licences(modules: readonly string[]): string {
  const roots = modules.map((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0]);
  const packages = [...new Set(roots)].filter((root) => root !== undefined).toSorted();
  return packages
    .map((root) => `${root.replace(/.*node_modules./, '')}\n\n${licenceOf(root)}\n`)
    .join(`${'-'.repeat(72)}\n`);
}

function licenceOf(root: string): string {
  const file = readdirSync(root).find((name) => /^licen[cs]e/i.test(name));
  if (file === undefined) throw new Error(`${root} has no licence`);
  return readFileSync(resolve(root, file), 'utf8');
}

/** What the threads share is in files of its own: less to read, the second time from the page cache. */
async function build(): Promise<void> {
  rmSync(OUTPUT, { recursive: true, force: true });
  const input = Object.fromEntries(
    Object.entries(ENTRIES).map(([name, file]) => [name, resolve(DIST, file)]),
  );
  const bundle = await rolldown({ input, platform: 'node', external: isExternal, plugins: [urls] });
  const names = { entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' };
  const { output } = await bundle.write({ dir: OUTPUT, format: 'esm', ...names });
  await bundle.close();
  const modules = output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
  writeFileSync(resolve(OUTPUT, 'LICENCES'), licences(modules));
  process.stdout.write(`bundle: ${modules.length} modules in ${output.length} files\n`);
}

await build();
