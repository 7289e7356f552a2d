import type { Command } from 'commander';
import { roundSize } from '../runtime/config/size.ts';
import { describeCheckpoints } from './checkpoint.ts';
import { describeIndex } from './index.ts';
import { findMount, withMount } from './mounts.ts';
import type { ColdStatus, Status } from './protocol.ts';
import {
  duration,
  grouped,
  latency,
  plural,
  print,
  printJson,
  style,
  table,
  withHeader,
} from './terminal.ts';

const HELP = `
Examples:
  vexfs status                  the mount that contains this directory, or the only one
  vexfs status ~/notes --json | jq .index.pending`;

const NO_TOTALS = {
  compressedFiles: 0,
  compressedBytes: 0,
  storedBytes: 0,
  keptPlainFiles: 0,
  summedFiles: 0,
  unsummedFiles: 0,
};

export function addStatus(program: Command): void {
  program
    .command('status')
    .summary('show what a mount is doing')
    .description('Show what a mount is doing: its threads, memory, index, and requests with their latencies.')
    .argument('[dir]', 'where it is mounted, or any path inside')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(status);
}

async function status(directory: string | undefined, options: { json?: true }): Promise<void> {
  const mount = findMount({ mount: directory });
  const answer = await withMount(mount, (client) => client.call('status', {}));
  if (options.json) printJson(answer);
  else for (const line of describeStatus(answer)) print(line);
}

function describeRequests({ fuse, channel }: Status): string {
  const requests = grouped(fuse.requests);
  if (channel === undefined) return requests;
  const way = channel.channel === 'uring' ? 'over io_uring' : 'by the classic channel';
  return `${requests}, ${way} (${channel.why})`;
}

function share(used: number, of: number): string {
  return of > 0 ? ` (${((100 * used) / of).toFixed(1)} %)` : '';
}

export function describeStatus(s: Status): string[] {
  const { namespace, memory, index } = s;
  const summary: [string, string][] = [
    ['mounted at', `${s.directory}, ${s.state} for ${duration(s.uptimeSeconds)}`],
    ['store', s.store],
    ['process', `${s.pid}, vexfs ${s.version}`],
    [
      'files',
      `${grouped(namespace.inodesUsed)} of at most ${grouped(namespace.inodesMax)}${share(namespace.inodesUsed, namespace.inodesMax)}, directories included`,
    ],
    [
      'memory',
      `${roundSize(memory.slabHighWater)} of ${roundSize(memory.slabBudget)}${share(memory.slabHighWater, memory.slabBudget)}`,
    ],
    ...describeBlocks(memory),
    ['index', describeIndex(index)],
    ['requests', describeRequests(s)],
  ];
  if (s.moving !== undefined) {
    const { from, to, phase, left } = s.moving;
    summary.push(['shards', `${from} → ${to}, ${phase}: ${grouped(left)} files left`]);
  }
  if (s.storage !== undefined) summary.push(['durable', `to change ${grouped(s.storage.durableLsn)}`]);
  if (s.storage?.space) {
    const [free, needed] = [s.storage.freeBytes ?? 0, s.storage.neededBytes ?? 0].map(roundSize);
    const state = `the disk of the store is full: ${free} are free, ${needed} are needed to go on`;
    summary.push(['disk', `${state}; until then, what would take space is refused`]);
  }
  if (s.checkpoint !== undefined) summary.push(['checkpoint', describeCheckpoints(s.checkpoint)]);
  if (s.cold !== undefined && s.cold.mode !== 'off') summary.push(['compressed', describeCold(s.cold)]);
  if (s.cold?.totals !== undefined) summary.push(['checksums', describeSums(s.cold)]);
  if (s.cold?.damage !== undefined && s.cold.damage.count > 0)
    summary.push(['damaged', style('red', describeDamage(s.cold.damage))]);
  const lines = table(summary.map(([name, value]) => [style('bold', name), value]));
  lines.push('', ...describeActors(s.actors));
  if (s.collections !== undefined && s.collections.length > 0)
    lines.push('', ...describeCollections(s.collections));
  const opcodes = Object.entries(s.fuse.opcodes)
    .filter(([, { count }]) => count > 0)
    .toSorted(([, a], [, b]) => b.count - a.count)
    .map(([name, { count, errors, p50us, p99us, maxus }]) => [
      name,
      grouped(count),
      grouped(errors),
      latency(p50us),
      latency(p99us),
      latency(maxus),
    ]);
  if (opcodes.length > 0) {
    lines.push(
      '',
      ...withHeader(['REQUEST', 'COUNT', 'ERRORS', 'P50', 'P99', 'MAX'], opcodes, [1, 2, 3, 4, 5]),
    );
  }
  return lines;
}

function describeCollections(collections: NonNullable<Status['collections']>): string[] {
  const header = ['VECTORS OF', 'COUNT', 'DIMENSION', 'TAIL', 'IN GRAPHS', 'GRAPHS', 'BYTES EACH', ''];
  const rows = collections.map(({ full, walked, ...one }) => [
    one.name === '' ? 'text' : one.name,
    grouped(one.vectors),
    grouped(one.dimension),
    grouped(one.tail),
    grouped(one.graph),
    `${grouped(one.graphs)} of ${grouped(one.graphsMax)}`,
    grouped(one.bytesPerVector),
    full > 0 ? style('yellow', 'no room in graphs') : walked,
  ]);
  return withHeader(header, rows, [1, 2, 3, 4, 5, 6]);
}

function describeCold({ doing, compressed, totals, failure }: ColdStatus): string {
  const { compressedFiles, compressedBytes, storedBytes, keptPlainFiles } = totals ?? NO_TOTALS;
  const saved = `${plural(compressedFiles, 'file')} of ${roundSize(compressedBytes)} in ${roundSize(storedBytes)}`;
  const parts = totals === undefined ? [`${plural(compressed, 'file')} since the mount`] : [saved];
  if (keptPlainFiles > 0) parts.push(`${grouped(keptPlainFiles)} not worth it`);
  if (doing !== '') parts.push(doing);
  if (failure !== undefined) parts.push(`the last attempt failed: ${failure}`);
  return parts.join(', ');
}

/** Of large files that are not compressed. */
function describeSums({ totals, scrubbedSecondsAgo }: ColdStatus): string {
  const { summedFiles, unsummedFiles } = totals ?? NO_TOTALS;
  const parts = [`${plural(summedFiles, 'large file')}, ${grouped(unsummedFiles)} not yet`];
  if (scrubbedSecondsAgo !== undefined) parts.push(`all compared ${duration(scrubbedSecondsAgo)} ago`);
  return parts.join(', ');
}

function describeDamage({ count, files }: ColdStatus['damage']): string {
  const [{ inode, object, position }] = files as [ColdStatus['damage']['files'][number]];
  const others = count > 1 ? `, and ${plural(count - 1, 'other')}` : '';
  return `inode ${inode} from byte ${position} on (${object} in the store)${others}`;
}

function describeActors(actors: Status['actors']): string[] {
  const hasFailures = actors.some(({ lastError }) => lastError !== undefined);
  const header = ['ACTOR', 'STATE', 'RESTARTS', ...(hasFailures ? ['LAST ERROR'] : [])];
  const rows = actors.map(({ name, state, restarts, lastError }) => [
    name,
    state,
    grouped(restarts),
    lastError ?? '',
  ]);
  return withHeader(header, rows, [2]);
}

/** How well the memory is used; nothing for a mount that does not say. */
function describeBlocks(memory: Status['memory']): [string, string][] {
  const { slabUsed, slackBytes, scatteredBytes, trimmedBytes, hitRate, suspects } = memory;
  if (slackBytes === undefined || scatteredBytes === undefined || hitRate === undefined) return [];
  const parts = [
    `${roundSize(slabUsed)} in use`,
    `${roundSize(slackBytes)} of it padding`,
    `${roundSize(scatteredBytes)} free in pieces`,
    `${(100 * hitRate).toFixed(1)} % from caches`,
  ];
  if (trimmedBytes) parts.push(`${roundSize(trimmedBytes)} given back to the system`);
  if (suspects) parts.push(`${grouped(suspects)} blocks nobody refers to`);
  return [['blocks', parts.join(', ')]];
}
