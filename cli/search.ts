import type { Command } from 'commander';
import { QUERY_MAX, SEARCH_K_MAX } from '../runtime/config/bounds.ts';
import { UserError } from '../runtime/user-error.ts';
import { wholeNumber } from './arguments.ts';
import { findMount, pathInMount, withMount } from './mounts.ts';
import { printHits, printHitsJson } from './results.ts';
import { grouped } from './terminal.ts';

interface Options {
  readonly mount?: string;
  readonly k: number;
  readonly under?: string;
  readonly json?: true;
}

const HELP = `
Results are ranked by meaning: the words of the query need not occur in the file. Only files you may read are
shown. Files written a moment ago may not be indexed yet; "vexfs index wait" waits for them.

Examples:
  vexfs search how do I rotate the signing keys
  vexfs search "dinner for a cold day" -k 3 --under ~/notes/recipes
  vexfs search "unpaid invoices" --json | jq -r '.[].path'

JSON: [{"path": absolute path, "score": number (higher is better), "line": 1-based, "snippet": text}, …]`;

export function addSearch(program: Command): void {
  program
    .command('search')
    .summary('find files by meaning')
    .description('Find the files whose text is about QUERY.')
    .argument('<query...>', 'what to look for, in your own words; quotes are optional')
    .option('-m, --mount <dir>', 'search this mount (default: the one containing the current directory)')
    .option('-k <number>', `how many results, 1 to ${SEARCH_K_MAX}`, wholeNumber(1, SEARCH_K_MAX), 10)
    .option('-u, --under <path>', 'only files in this directory of the mount')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action((words: string[], options: Options) => search(words.join(' '), options));
}

/** The query as it is sent. @throws {UserError} if it is empty or too long. */
function checkQuery(text: string): string {
  const query = text.trim();
  if (query === '') {
    throw new UserError(
      'the query is empty; say what the files are about, such as: vexfs search "rotating keys"',
    );
  }
  const bytes = Buffer.byteLength(query);
  if (bytes > QUERY_MAX) {
    throw new UserError(
      `the query is ${grouped(bytes)} bytes long, at most ${grouped(QUERY_MAX)} are allowed`,
    );
  }
  return query;
}

async function search(text: string, options: Options): Promise<void> {
  const query = checkQuery(text);
  const mount = findMount({ mount: options.mount, near: options.under });
  const under = options.under === undefined ? {} : { under: pathInMount(mount, options.under) };
  const hits = await withMount(mount, (client) => client.call('search', { query, k: options.k, ...under }));
  if (options.json) printHitsJson(hits, mount.directory);
  else printHits(hits, { directory: mount.directory, query, nothing: `nothing found for "${query}"` });
}
