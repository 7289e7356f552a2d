/** What one writer's durable overwrite is made of: the host's own disk, and what requests and log cost without a disk. */
import fs from 'node:fs';
import path from 'node:path';
import { type Effort, inRounds, type Measurement, type Part, type Sample } from '../runtime/measure.ts';
import { inWorkspace, mountStore, PEERS } from './workspace.ts';
import { Writers } from './writers.ts';

/** A filesystem in memory: an fsync of a file on it is nothing. */
const MEMORY = '/dev/shm';
const BYTES = 512;
const [VEXFS, HOST, IN_MEMORY, BOTH] = ['vexfs', 'host', 'vexfs, store in memory', 'host + in memory'];
const WORKS = [
  { work: 'overwrite', row: 'overwrite, fsync: 1 writer' },
  { work: 'patch', row: 'overwrite in a large file, fsync: 1 writer' },
] as const;

export function memoryMissing(): string | undefined {
  return fs.existsSync(MEMORY) ? undefined : `no filesystem in memory at ${MEMORY}`;
}

/** One after the other, by round: a host's fsync and all that is not the disk. */
function sums(samples: readonly Sample[]): Sample[] {
  return samples
    .filter(({ peer }) => peer === HOST)
    .flatMap((host) => {
      const memory = samples.find(
        ({ round, row, peer }) => peer === IN_MEMORY && row === host.row && round === host.round,
      );
      return memory ? [{ ...host, peer: BOTH!, value: host.value + memory.value }] : [];
    });
}

export async function floor(effort: Effort, workspace: string): Promise<Part> {
  const host = path.join(workspace, 'host');
  fs.mkdirSync(host);
  const server = await mountStore(workspace, ['index.enabled=false']);
  const writers = new Writers(PEERS);
  const measured = await inWorkspace(MEMORY, async (memory) => {
    const inMemory = await mountStore(memory, ['index.enabled=false']);
    const directories = [
      [VEXFS, server.directory],
      [HOST, host],
      [IN_MEMORY, inMemory.directory],
    ] as const;
    const measurements: Measurement[] = WORKS.flatMap(({ work, row }) =>
      directories.map(([peer, directory]) => ({
        row,
        peer: peer!,
        async run() {
          const { transactions, seconds } = await writers.run(
            { work, directory, bytes: BYTES },
            1,
            effort.milliseconds,
          );
          return (seconds / transactions) * 1e6;
        },
      })),
    );
    try {
      return await inRounds('floor', measurements, effort);
    } finally {
      await inMemory.stop();
    }
  }).finally(async () => {
    await writers.end();
    await server.stop();
  });
  return {
    name: 'what a durable overwrite is made of',
    rows: WORKS.map(({ row }) => ({
      name: row,
      unit: 'µs',
      subject: VEXFS!,
      peers: [VEXFS!, HOST!, IN_MEMORY!, BOTH!],
    })),
    notes: [
      `${IN_MEMORY}: the same on a store on ${MEMORY}, where an fsync costs nothing: two FUSE requests (WRITE, FSYNC), a log record, and nothing else. "${BOTH}" is what a transaction takes when the disk only begins after the write was answered; what vexfs is below that is what it does meanwhile.`,
    ],
    samples: [...measured, ...sums(measured)],
  };
}
