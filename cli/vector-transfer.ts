/** `vexfs vector import` and `export`: files of many vectors, to and from the vectors of files. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { type Command, Option } from 'commander';
import { CONTROL_LINE_MAX, MIB, VECTOR_DIMENSION_MAX } from '../runtime/config/bounds.ts';
import { UserError } from '../runtime/user-error.ts';
import { wholeNumber } from './arguments.ts';
import type { ControlClient } from './client.ts';
import { directoryInMount, findMount, pathInMount, type RunningMount, withMount } from './mounts.ts';
import type { VectorsSet } from './protocol.ts';
import { describeFileError } from './system-errors.ts';
import { clearProgress, duration, grouped, plural, print, printJson, progress } from './terminal.ts';
import { FORMATS, type Format, formatOf, type Piece, VectorSink, VectorSource } from './vector-formats.ts';

const DEFAULT = 'default';
/** Digits of the names that are given to vectors without one. */
const DIGITS = 9;
/** Vectors of one request: what they take of the line of paths and of the bytes that follow it. */
const BATCH_PATHS = 10_000;
const BATCH_BYTES = 16 * MIB;
const PATH_BYTES = CONTROL_LINE_MAX / 2;
const SHOW_MS = 100;
/** What is said of vectors that could not be set, at most. */
const ERRORS_SHOWN = 10;

interface ImportOptions {
  readonly into: string;
  readonly collection: string;
  readonly format?: Format;
  readonly dimension?: number;
  readonly paths?: string;
  readonly existing?: true;
  readonly mount?: string;
  readonly json?: true;
}

interface ExportOptions {
  readonly collection: string;
  readonly format?: Format;
  readonly under?: string;
  readonly mount?: string;
  readonly json?: true;
}

const IMPORT_HELP = `
A vector is a file's: those of a file that names none ("path" in JSON lines, or --paths) get files of their own in DIR,
000000000, 000000001 and so on. What is durable when it returns, is found.

Examples:
  vexfs vector import sift.fvecs --into ~/notes/sift --collection sift
  vexfs vector import embeddings.npy --into ~/photos --paths names.txt --existing

JSON: {"set": number, "notSet": number, "errors": [{"path", "error"}, …], "seconds": number}`;

export function addVectorTransfer(vector: Command): void {
  const format = new Option('--format <format>', 'if the name of the file does not end in it').choices(
    FORMATS,
  );
  vector
    .command('import')
    .description('Set the vectors of many files from a file of vectors.')
    .argument('<file>', `a file of the format ${FORMATS.join(', ')}`)
    .requiredOption(
      '--into <dir>',
      'the directory, in a mount, of the files that get them; made if it is not there',
    )
    .option('-c, --collection <name>', 'the collection', DEFAULT)
    .addOption(format)
    .option(
      '--dimension <number>',
      'elements of a vector, of a .f32 file',
      wholeNumber(1, VECTOR_DIMENSION_MAX),
    )
    .option('--paths <file>', 'the files that get them: a path below DIR in each line')
    .option('--existing', 'only files that are there: make none')
    .option('-m, --mount <dir>', 'a mount (default: the one that contains DIR)')
    .option('--json', 'print JSON')
    .addHelpText('after', IMPORT_HELP)
    .action(importVectors);
  vector
    .command('export')
    .description(
      'Write the vectors of a collection to a file. Those of files that you may not read are left out.',
    )
    .argument('<file>', 'a new file: .npy, .fvecs, .jsonl (with the paths) or .f32')
    .option('-c, --collection <name>', 'the collection', DEFAULT)
    .addOption(format)
    .option('-u, --under <path>', 'only of files in this directory of the mount')
    .option('-m, --mount <dir>', 'a mount (default: the one that contains the current directory)')
    .option('--json', 'print JSON: {"vectors", "dimension", "seconds"}')
    .action(exportVectors);
}

async function importVectors(file: string, options: ImportOptions): Promise<void> {
  const source = new VectorSource(file, options.format ?? formatOf(file), options.dimension);
  const mount = findMount({ mount: options.mount, near: options.into });
  const into =
    options.existing === undefined ? directoryInMount(mount, options.into) : pathInMount(mount, options.into);
  const made = new Set([into]);
  const names = options.paths === undefined ? undefined : readNames(options.paths);
  const total = names === undefined ? source.count : Math.min(names.length, source.count ?? names.length);
  const sum = { set: 0, notSet: 0, errors: [] as { path: string; error: string }[] };
  const started = performance.now();
  const show = shower(total, started);
  await withMount(mount, async (client) => {
    let first = 0;
    for (const piece of source.pieces()) {
      for (const { paths, values } of batchesOf(piece, first, into, names)) {
        if (options.existing === undefined) makeParents(mount, paths, made);
        const answer = await put(client, options, paths, values);
        sum.set += answer.set;
        sum.notSet += answer.notSet;
        sum.errors.push(...answer.errors.slice(0, ERRORS_SHOWN - sum.errors.length));
        show(sum.set + sum.notSet);
      }
      first += piece.count;
    }
  });
  source.close();
  clearProgress();
  const seconds = (performance.now() - started) / 1000;
  if (options.json) printJson({ ...sum, seconds });
  else print(`${plural(sum.set, 'vector')} set in ${seconds.toFixed(1)} s (${rate(sum.set, seconds)})`);
  if (sum.notSet === 0) return;
  const shown = sum.errors.map(({ path, error }) => `  ${path}: ${error}`).join('\n');
  throw new UserError(`${plural(sum.notSet, 'vector')} could not be set:\n${shown}`);
}

/** The directories that files are to be made in; one that cannot be made is told of by its files. */
function makeParents(mount: RunningMount, paths: readonly string[], made: Set<string>): void {
  for (const path of paths) {
    const parent = dirname(path);
    if (made.has(parent)) continue;
    made.add(parent);
    try {
      mkdirSync(join(mount.directory, parent), { recursive: true });
    } catch {
      // As said.
    }
  }
}

async function put(
  client: ControlClient,
  { collection, existing }: ImportOptions,
  paths: readonly string[],
  values: Float32Array,
): Promise<VectorsSet> {
  const payload = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const request = { op: 'vectors' as const, collection, paths, create: existing === undefined };
  return (await client.call('query', request, {
    payload,
    timeoutMs: Number.POSITIVE_INFINITY,
  })) as VectorsSet;
}

function* batchesOf(
  { count, dimension, values, paths }: Piece,
  first: number,
  into: string,
  names: readonly string[] | undefined,
): Generator<{ paths: string[]; values: Float32Array }> {
  const most = Math.min(BATCH_PATHS, Math.max(1, Math.floor(BATCH_BYTES / (dimension * 4))));
  const end = names === undefined ? count : Math.min(count, names.length - first);
  for (let at = 0; at < end; ) {
    const batch: string[] = [];
    let bytes = 0;
    while (at + batch.length < end && batch.length < most && bytes < PATH_BYTES) {
      const i = at + batch.length;
      const name = names?.[first + i] ?? paths?.[i] ?? String(first + i).padStart(DIGITS, '0');
      batch.push(below(into, name));
      bytes += Buffer.byteLength(batch.at(-1)!) + 3;
    }
    yield { paths: batch, values: values.slice(at * dimension, (at + batch.length) * dimension) };
    at += batch.length;
  }
}

/** @throws {UserError} if `name` leads out of the directory `into` */
function below(into: string, name: string): string {
  const path = join(into, name);
  if (path.startsWith(into === '/' ? into : `${into}/`)) return path;
  throw new UserError(`"${name}" is not a path below the directory of --into`);
}

function readNames(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch (error) {
    throw new UserError(describeFileError(file, error));
  }
}

async function exportVectors(file: string, options: ExportOptions): Promise<void> {
  const format = options.format ?? formatOf(file);
  if (existsSync(file)) throw new UserError(`${file} exists already; name a new file`);
  if (!existsSync(dirname(file))) throw new UserError(`${dirname(file)} does not exist`);
  const mount = findMount({ mount: options.mount, near: options.under });
  const under = options.under === undefined ? {} : { under: pathInMount(mount, options.under) };
  const started = performance.now();
  const show = shower(undefined, started);
  const { vectors, dimension } = await withMount(mount, async (client) => {
    let sink: VectorSink | undefined;
    let dimension = 0;
    try {
      for (let from = 0; from >= 0; ) {
        const piece = await client.call('vectorList', { collection: options.collection, from, ...under });
        dimension = piece.dimension;
        sink ??= new VectorSink(file, format, dimension);
        const bytes = Buffer.from(piece.vectors, 'base64');
        sink.write(piece.paths, new Float32Array(new Uint8Array(bytes).buffer));
        show(sink.count);
        from = piece.next;
      }
      sink?.close();
    } catch (error) {
      if (sink !== undefined) rmSync(file, { force: true });
      throw error;
    }
    return { vectors: sink?.count ?? 0, dimension };
  });
  clearProgress();
  const seconds = (performance.now() - started) / 1000;
  if (options.json) printJson({ vectors, dimension, seconds });
  else
    print(
      `${plural(vectors, 'vector')} of ${grouped(dimension)} elements written to ${file} (${rate(vectors, seconds)})`,
    );
}

function rate(count: number, seconds: number): string {
  return `${grouped(Math.round(count / Math.max(seconds, 0.001)))} a second`;
}

/** Shows how far it has come: how many of how many, how fast, and how long it will take. */
function shower(total: number | undefined, started: number): (done: number) => void {
  let shown = 0;
  return (done) => {
    const now = performance.now();
    if (now - shown < SHOW_MS) return;
    shown = now;
    progress(progressLine(done, total, (now - started) / 1000));
  };
}

const BAR_CELLS = 20;

/** "[#####     ] 1,000 of 4,000 vectors, 500 a second, 6 s left". */
export function progressLine(done: number, total: number | undefined, seconds: number): string {
  const perSecond = done / Math.max(seconds, 0.001);
  if (total === undefined || total === 0) return `${grouped(done)} vectors, ${rate(done, seconds)}`;
  const filled = Math.round(Math.min(1, done / total) * BAR_CELLS);
  const bar = '#'.repeat(filled).padEnd(BAR_CELLS);
  const left = perSecond > 0 ? `, ${duration((total - done) / perSecond)} left` : '';
  return `[${bar}] ${grouped(done)} of ${grouped(total)} vectors, ${rate(done, seconds)}${left}`;
}
