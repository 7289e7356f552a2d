import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { SEARCH_K_MAX } from '../runtime/config/bounds.ts';
import { UserError } from '../runtime/user-error.ts';
import { wholeNumber } from './arguments.ts';
import { findMount, pathInMount, withMount } from './mounts.ts';
import { hostPath, printHits, printHitsJson } from './results.ts';

const HELP = `
Examples:
  vexfs similar ~/notes/bread.md
  vexfs similar report.txt -k 3 --json

JSON: as of "vexfs search".`;

export function addSimilar(program: Command): void {
  program
    .command('similar')
    .summary('find files like one')
    .description('Find the files that are about the same things as FILE, which is in a mount.')
    .argument('<file>', 'a text file in a mount')
    .option('-k <number>', `how many results, 1 to ${SEARCH_K_MAX}`, wholeNumber(1, SEARCH_K_MAX), 10)
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(similar);
}

async function similar(file: string, options: { k: number; json?: true }): Promise<void> {
  const mount = findMount({ near: file });
  const path = pathInMount(mount, file);
  const stats = statSync(hostPath(mount.directory, path));
  if (!stats.isFile()) throw new UserError(`${file} is not a regular file; only those are compared`);
  const hits = await withMount(mount, (client) => client.call('similar', { path, k: options.k }));
  if (options.json) printHitsJson(hits, mount.directory);
  else
    printHits(hits, {
      directory: mount.directory,
      query: '',
      nothing: `nothing is like ${file}, or it has no text`,
    });
}
