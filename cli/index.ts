import type { Command } from 'commander';
import { UserError } from '../runtime/user-error.ts';
import { seconds } from './arguments.ts';
import type { ControlClient } from './client.ts';
import { findMount, pathInMount, withMount } from './mounts.ts';
import type { IndexProgress, IndexStatus } from './protocol.ts';
import { clearProgress, grouped, plural, print, printJson, progress } from './terminal.ts';

interface WaitOptions {
  readonly timeout?: number;
  readonly json?: true;
}

export function addIndex(program: Command): void {
  const index = program
    .command('index')
    .summary('see, await or rebuild the index of texts')
    .description('Text files are indexed in the background, a moment after they were written.');
  index
    .command('status')
    .description('Show how many files are indexed and how many wait.')
    .argument('[dir]', 'where it is mounted, or any path inside')
    .option('--json', 'print JSON: {"pending", "indexed", "failed", "chunks"}')
    .action(status);
  index
    .command('wait')
    .description(
      'Return once every file written so far can be found. Exit code 1 if the time is over before.',
    )
    .argument('[dir]', 'where it is mounted, or any path inside')
    .option('-t, --timeout <seconds>', 'wait no longer than this', seconds)
    .option('--json', 'print JSON: {"pending", "indexed", "failed", "chunks"}')
    .action(wait);
  index
    .command('rebuild')
    .description('Index again what is below PATH (default: the whole mount). Searches go on meanwhile.')
    .argument('[path]', 'a mount, or a file or directory inside one')
    .option('--json', 'print JSON')
    .action(rebuild);
}

/** The passages are those of the store, the files those of this mount's time. */
export function describeIndex({ indexed, chunks, pending, failed }: IndexStatus): string {
  const failures = failed > 0 ? `, ${grouped(failed)} could not be indexed (see vexfs.log)` : '';
  return `${plural(chunks, 'passage')}; since the mount ${plural(indexed, 'file')} indexed, ${grouped(pending)} waiting${failures}`;
}

async function status(directory: string | undefined, options: { json?: true }): Promise<void> {
  const mount = findMount({ mount: directory });
  const answer = await withMount(mount, (client) => client.call('indexStatus', {}));
  if (options.json) printJson(answer);
  else print(describeIndex(answer));
}

/** A line such as "indexing: 120 files left, 45 files/s", the rate over the whole wait. */
export function progressLine(now: IndexProgress, first: IndexProgress, elapsedSeconds: number): string {
  const rate = elapsedSeconds > 0 ? (now.indexed - first.indexed) / elapsedSeconds : 0;
  const shown = rate > 0 ? `, ${rate < 10 ? rate.toFixed(1) : grouped(Math.round(rate))} files/s` : '';
  return `indexing: ${plural(now.pending, 'file')} left${shown}`;
}

/** Returns once every file written so far can be found, or after `timeoutSeconds`; shows how far it is meanwhile. */
export async function awaitIndex(client: ControlClient, timeoutSeconds?: number): Promise<IndexStatus> {
  const started = performance.now();
  let first: IndexProgress | undefined;
  const status = await client.call('indexWait', timeoutSeconds === undefined ? {} : { timeoutSeconds }, {
    timeoutMs: Number.POSITIVE_INFINITY,
    onProgress: (value) => {
      first ??= value as IndexProgress;
      progress(progressLine(value as IndexProgress, first, (performance.now() - started) / 1000));
    },
  });
  clearProgress();
  return status;
}

async function wait(directory: string | undefined, options: WaitOptions): Promise<void> {
  const mount = findMount({ mount: directory });
  const { timeout = Number.POSITIVE_INFINITY } = options;
  const started = performance.now();
  const answer = await withMount(mount, (client) => awaitIndex(client, options.timeout));
  if (options.json) printJson(answer);
  // What has changed since it began is pending again, and was not waited for.
  if (answer.pending > 0 && performance.now() - started >= timeout * 1000) {
    throw new UserError(
      `${plural(answer.pending, 'file')} still to be indexed after ${timeout} s; wait again, or see "vexfs index status"`,
    );
  }
  if (!options.json) print(describeIndex(answer));
}

async function rebuild(path: string | undefined, options: { json?: true }): Promise<void> {
  const mount = findMount({ near: path });
  const inside = path === undefined ? '/' : pathInMount(mount, path);
  const params = inside === '/' ? {} : { path: inside };
  const answer = await withMount(mount, (client) => client.call('indexRebuild', params));
  if (options.json) printJson(answer);
  else print(`indexing ${path ?? mount.directory} again; "vexfs index wait" returns when it is done`);
}
