import { existsSync } from 'node:fs';
import { type Command, CommanderError } from 'commander';
import {
  COLLECTION_NAME_MAX,
  SEARCH_EF_MAX,
  SEARCH_K_MAX,
  XATTR_SIZE_MAX,
} from '../runtime/config/bounds.ts';
import {
  EACCES,
  EDQUOT,
  EINVAL,
  ENODATA,
  ENOENT,
  ENOSPC,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
  EROFS,
} from '../runtime/errno.ts';
import { UserError } from '../runtime/user-error.ts';
import { number, wholeNumber } from './arguments.ts';
import { findMount, pathInMount, withMount } from './mounts.ts';
import { printHits, printHitsJson } from './results.ts';
import { grouped, print, say } from './terminal.ts';
import { readVector } from './vector-files.ts';
import { addVectorTransfer } from './vector-transfer.ts';

const XATTR = 'user.vexfs.vector';
const DEFAULT = 'default';

interface InCollection {
  readonly collection?: string;
}

interface SetOptions extends InCollection {
  readonly npy?: string;
  readonly json?: string;
}

interface SearchOptions extends InCollection {
  readonly like?: string;
  readonly mount?: string;
  readonly k: number;
  readonly ef?: number;
  readonly patience?: number;
  readonly minScore?: number;
  readonly json?: true;
}

const HELP = `
A vector is the extended attribute user.vexfs.vector of a file (or user.vexfs.vector.COLLECTION): little-endian
float32. All vectors of a collection have the length of the first one.

Examples:
  vexfs vector set cat.jpg --npy cat.npy --collection images
  echo '[0.1, 0.7, -0.2]' | vexfs vector set note.md --json -
  vexfs vector get note.md
  vexfs vector search query.npy --collection images -k 5
  vexfs vector search --like cat.jpg --collection images`;

export function addVector(program: Command): void {
  const vector = program
    .command('vector')
    .summary('set, get, search, import or export vectors of your own')
    .description('Give files vectors of your own making, and find the files whose vectors are nearest.')
    .addHelpText('after', HELP);
  vector
    .command('set')
    .description('Set the vector of FILE. It is found by the next search.')
    .argument('<file>', 'a file in a mount')
    .option('--npy <file>', 'read the vector from a .npy file of float32 or float64; - is standard input')
    .option('--json <file>', 'read the vector from a file with a JSON list of numbers; - is standard input')
    .option('-c, --collection <name>', 'the collection', DEFAULT)
    .action(set);
  vector
    .command('get')
    .description('Print the vector of FILE as a JSON list of numbers.')
    .argument('<file>', 'a file in a mount')
    .option('-c, --collection <name>', 'the collection', DEFAULT)
    .action(get);
  vector
    .command('search')
    .description('Find the files whose vectors are nearest to that in QUERY, or to that of a file.')
    .argument('[query]', 'a .npy file, or a file with a JSON list of numbers; - is JSON on standard input')
    .option('-l, --like <file>', 'use the vector of this file')
    .option('-m, --mount <dir>', 'search this mount (default: the one containing the current directory)')
    .option('-c, --collection <name>', 'the collection', DEFAULT)
    .option('-k <number>', `how many results, 1 to ${SEARCH_K_MAX}`, wholeNumber(1, SEARCH_K_MAX), 10)
    .option(
      '--ef <number>',
      'candidates looked at: more finds better and takes longer',
      wholeNumber(1, SEARCH_EF_MAX),
    )
    .option(
      '--patience <number>',
      'stop when so many candidates in a row have led to nothing nearer',
      wholeNumber(1, SEARCH_EF_MAX),
    )
    .option('--min-score <number>', 'only results whose score is at least this', number)
    .option('--json', 'print JSON: [{"path", "score"}, …]')
    .action(search);
  addVectorTransfer(vector);
}

function attribute({ collection }: InCollection): string {
  if (collection === undefined || collection === DEFAULT) return XATTR;
  if (!/^[\w-][\w.-]*$/.test(collection) || collection.length > COLLECTION_NAME_MAX) {
    throw new UserError(
      `"${collection}" cannot be the name of a collection: 1 to ${COLLECTION_NAME_MAX} of a-z, A-Z, 0-9, "_", "-" and, not in front, "."`,
    );
  }
  return `${XATTR}.${collection}`;
}

function usage(message: string): CommanderError {
  say(message);
  return new CommanderError(2, 'vexfs.usage', message);
}

function nameOf({ collection = DEFAULT }: InCollection): string {
  return `the collection "${collection}"`;
}

/** Why an xattr call on `file` failed. */
function failure(errno: number, file: string, options: InCollection): UserError {
  switch (errno) {
    case ENODATA:
      return new UserError(`${file} has no vector in ${nameOf(options)}; "vexfs vector set" gives it one`);
    case ENOENT:
      return new UserError(`${file} does not exist`);
    case EINVAL:
    case ERANGE:
      return new UserError(
        `${nameOf(options)} does not take this vector: another length than its vectors have, or all zeros`,
      );
    case EOPNOTSUPP:
      return new UserError(`${file} is not in a VexFS mount, or not a file that can have a vector`);
    case EACCES:
    case EPERM:
      return new UserError(`you may not change the vectors of ${file}`);
    case EROFS:
      return new UserError(`${file} is in a mount that is read-only`);
    case ENOSPC:
    case EDQUOT:
      return new UserError(`the store of ${file} is full`);
    default:
      return new UserError(`the vector of ${file} cannot be read or set (error ${errno})`);
  }
}

async function set(file: string, options: SetOptions): Promise<void> {
  if ((options.npy === undefined) === (options.json === undefined)) {
    throw usage('say where the vector is: either --npy FILE or --json FILE');
  }
  const vector =
    options.npy === undefined ? readVector(options.json!, 'json') : readVector(options.npy, 'npy');
  const name = attribute(options);
  requireFile(file);
  const { setXattr } = await import('../runtime/system/xattr.ts');
  const result = setXattr(file, name, new Uint8Array(vector.buffer));
  if (result < 0) throw failure(-result, file, options);
  print(`${file} has a vector of ${grouped(vector.length)} elements in ${nameOf(options)}`);
}

/** Elsewhere the attribute would be stored by another filesystem, and never found. */
function requireFile(file: string): void {
  if (!existsSync(file)) throw new UserError(`${file} does not exist`);
  const mount = findMount({ near: file });
  pathInMount(mount, file);
}

async function vectorOf(file: string, options: InCollection): Promise<Float32Array> {
  const name = attribute(options);
  requireFile(file);
  const { getXattr } = await import('../runtime/system/xattr.ts');
  const bytes = new Uint8Array(XATTR_SIZE_MAX);
  const length = getXattr(file, name, bytes);
  if (length < 0) throw failure(-length, file, options);
  return new Float32Array(bytes.buffer, 0, length >> 2);
}

async function get(file: string, options: InCollection): Promise<void> {
  print(JSON.stringify(Array.from(await vectorOf(file, options))));
}

async function search(query: string | undefined, options: SearchOptions): Promise<void> {
  if ((query === undefined) === (options.like === undefined)) {
    throw usage('say what to look for: either a file with a vector, or --like FILE');
  }
  const vector =
    query === undefined
      ? await vectorOf(options.like!, options)
      : readVector(query, query.endsWith('.npy') ? 'npy' : 'json');
  const mount = findMount({ mount: options.mount, near: options.like });
  const hits = await withMount(mount, (client) =>
    client.call('vectorSearch', {
      collection: options.collection ?? DEFAULT,
      vector: Array.from(vector),
      k: options.k,
      ef: options.ef,
      patience: options.patience,
      minScore: options.minScore,
    }),
  );
  if (options.json)
    printHitsJson(
      hits.map(({ path, score }) => ({ path, score })),
      mount.directory,
    );
  else printHits(hits, { directory: mount.directory, query: '', nothing: `${nameOf(options)} is empty` });
}
