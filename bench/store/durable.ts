/** Durable transactions a second with 1, 8 and 64 concurrent writers: VexFS, the host filesystem below it, SQLite. */
import fs from 'node:fs';
import path from 'node:path';
import { hostFilesystem } from '../fuse/peers/host.ts';
import { type Effort, inRounds, type Measurement, type Part, type Row } from '../runtime/measure.ts';
import { mountStore, PEERS, sqliteMissing } from './workspace.ts';
import type { Work } from './writer-thread.ts';
import { Writers } from './writers.ts';

const COUNTS = [1, 8, 64];
/** Of a record: a row of a table, an entry of a log. */
const BYTES = 512;
/** One writer gets at least the host's own rate; 64 at least five times what the host gives to one. */
const ONE_TARGET = 1;
const MANY_TARGET = 5;

const WORKS: readonly { work: Exclude<Work, 'sqlite'>; words: string; sqlite: boolean }[] = [
  { work: 'overwrite', words: 'overwrite, fsync', sqlite: true },
  { work: 'patch', words: 'overwrite in a large file, fsync', sqlite: false },
  { work: 'append', words: 'append to a large file, fsync', sqlite: false },
  { work: 'save', words: 'new file, fsync, rename, fsync of the directory', sqlite: false },
];

const rowName = (words: string, count: number): string =>
  `${words}: ${count} writer${count === 1 ? '' : 's'}`;

/** The host's rate with one writer, beside that of VexFS with 64. */
const HOST_ONE = 'host, 1 writer';

function rowOf(words: string, count: number, sqlite: boolean): Row {
  return {
    name: rowName(words, count),
    unit: '/s',
    subject: 'vexfs',
    peers: ['vexfs', 'host', HOST_ONE, ...(sqlite ? ['sqlite'] : [])],
    targets: count === 1 ? { host: ONE_TARGET } : count === 64 ? { [HOST_ONE]: MANY_TARGET } : {},
  };
}

export async function durable(effort: Effort, workspace: string): Promise<Part> {
  const noSqlite = await sqliteMissing(effort.say);
  const directories = { vexfs: path.join(workspace, 'mount'), host: path.join(workspace, 'host') };
  fs.mkdirSync(directories.host);
  const counts = effort.quick ? [1, 8] : COUNTS;
  const server = await mountStore(workspace);
  const writers = new Writers(PEERS);
  const rate = async (work: Work, directory: string, count: number): Promise<number> => {
    const { transactions, seconds } = await writers.run(
      { work, directory, bytes: BYTES },
      count,
      effort.milliseconds,
    );
    return transactions / seconds;
  };
  try {
    const measurements = WORKS.flatMap(({ work, words, sqlite }) =>
      counts.flatMap((count) => {
        const row = rowName(words, count);
        const peers: Measurement[] = [
          { row, peer: 'vexfs', run: () => rate(work, directories.vexfs, count) },
          { row, peer: 'host', run: () => rate(work, directories.host, count) },
        ];
        if (sqlite && noSqlite === undefined)
          peers.push({ row, peer: 'sqlite', run: () => rate('sqlite', directories.host, count) });
        return peers;
      }),
    );
    const measured = await inRounds('transactions', measurements, effort);
    const ones = measured.filter(({ row, peer }) => peer === 'host' && row.endsWith(': 1 writer'));
    const samples = [
      ...measured,
      ...ones.flatMap((one) =>
        counts.map((count) => ({
          ...one,
          row: one.row.replace(/: 1 writer$/, rowName('', count)),
          peer: HOST_ONE,
        })),
      ),
    ];
    return {
      name: 'transactions',
      rows: WORKS.flatMap(({ words, sqlite }) => counts.map((count) => rowOf(words, count, sqlite))),
      notes: [
        `A transaction writes ${BYTES} bytes and makes them durable; the writers are threads that block in each call, each with a file of its own (with SQLite: a connection, and rows, of its own).`,
        `host: ${hostFilesystem(directories.host)}, the filesystem that the store lies on; "${HOST_ONE}" is its rate with one writer in the same round.`,
        noSqlite ?? 'sqlite: better-sqlite3 12 on the host filesystem, WAL, synchronous = FULL.',
      ],
      samples,
    };
  } finally {
    await writers.end();
    await server.stop();
  }
}
