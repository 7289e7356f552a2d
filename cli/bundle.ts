/**
 * Puts the modules of each thread into a few files. A mount has eight threads, each of which loads 60 to 210 modules of its own:
 * one by one that was half of the CPU time until the mount could be used.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Plugin, rolldown } from 'rolldown';

/** What the compiler wrote. */
const DIST = fileURLToPath(new URL('..', import.meta.url));

/** Modules where a process or a thread begins, within {@link DIST}, by the name that each has in the bundle. */
export type Entries = Readonly<Record<string, string>>;

/** Those of the product. */
export const ENTRIES: Entries = {
  vexfs: 'cli/vexfs.js',
  'mount-vexfs': 'cli/mount-vexfs.js',
  thread: 'actors/thread.js',
  'checkpoint-thread': 'actors/io/checkpoint-thread.js',
  'cold-thread': 'actors/cold/thread.js',
  'embed-task': 'actors/indexer/embed-task.js',
};

/** An expression for the URL of `file`, in a module that lies in the folder `output`. */
function urlFrom(output: string, file: string): string {
  const path = relative(output, file);
  return `new URL('${path.startsWith('.') ? path : `./${path}`}', import.meta.url)`;
}

/** Modules find each other, and files beside them, by their own URL, which in the bundle is another. */
function urls(entries: Entries, output: string): Plugin {
  const bundled = new Map(
    Object.entries(entries).map(([name, file]) => [resolve(DIST, file), resolve(output, `${name}.js`)]),
  );
  return {
    name: 'urls',
    transform(code, id) {
      if (!code.includes('import.meta.url')) return null;
      const literal = /new URL\('([^']+)', import\.meta\.url\)/g;
      const replaced = code.replace(literal, (_, name: string) => {
        const file = resolve(dirname(id), name);
        return urlFrom(output, bundled.get(file) ?? file);
      });
      const rest = /(?<!new URL\('[^']+', )import\.meta\.url/g;
      return { code: replaced.replace(rest, `${urlFrom(output, id)}.href`), map: null };
    },
  };
}

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

/**
 * Writes the bundle into the folder `output`, which it empties. What the threads share is in files of its own: less to read, the
 * second time from the page cache.
 */
export async function makeBundle(
  entries: Entries,
  output: string,
): Promise<{ modules: number; files: number }> {
  rmSync(output, { recursive: true, force: true });
  const input = Object.fromEntries(
    Object.entries(entries).map(([name, file]) => [name, resolve(DIST, file)]),
  );
  const plugins = [urls(entries, output)];
  const bundle = await rolldown({ input, platform: 'node', external: isExternal, plugins });
  const names = { entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' };
  const { output: files } = await bundle.write({ dir: output, format: 'esm', ...names });
  await bundle.close();
  const modules = files.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
  writeFileSync(resolve(output, 'LICENCES'), licences(modules));
  return { modules: modules.length, files: files.length };
}
