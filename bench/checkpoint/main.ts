/** `npm run bench:checkpoint`: see docs/PERFORMANCE.md. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeCheckpoint, settle } from '../../actors/io/background-checkpoint.ts';
import { replayLog } from '../../actors/io/log-recovery.ts';
import { loadState } from '../../actors/io/recovery.ts';
import { ReplayedTables } from '../../actors/io/replayed-tables.ts';
import { systemClock } from '../../runtime/clock.ts';
import { GIB, MIB } from '../../runtime/config/bounds.ts';
import { fillStore } from './filled-store.ts';
import { type Waits, waitsAlone, waitsDuringCheckpoint } from './pause.ts';

const USAGE = `npm run bench:checkpoint -- [options]
  --files N       files in the store, each with a vector (1000000)
  --dimension N   of the vectors, 0 = none (128)
  --json FILE     also write all figures there
  --quick         2,000 files: shows that everything runs, measures nothing`;

const CLI = new URL('../../cli/vexfs.js', import.meta.url).pathname;
const ALONE_MS = 5000;

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '1000000' },
    dimension: { type: 'string', default: '128' },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const files = values.quick ? 2000 : Number(values.files);
const dimension = Number(values.dimension);
const filling = { files, dimension, maxFiles: Math.ceil(files * 1.2) + 10_000, budget: 2 * GIB };
const capacity = { maxFiles: filling.maxFiles, budget: filling.budget, inlineLimit: 16 * 1024 };
const figures: Record<string, unknown> = { files, dimension };

function note(name: string, value: unknown): void {
  figures[name] = value;
  console.log(`${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}`);
}

interface Duration {
  readonly seconds: number;
  /** Of this process alone: what a machine that does something else does not change. */
  readonly cpuSeconds: number;
}

function timed<T>(work: () => T): [Duration, T] {
  const cpu = process.cpuUsage();
  const started = performance.now();
  const result = work();
  const { user, system } = process.cpuUsage(cpu);
  const took = performance.now() - started;
  return [
    { seconds: Math.round(took) / 1000, cpuSeconds: Math.round((user + system) / 1000) / 1000 },
    result,
  ];
}

function vexfs(...args: string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`vexfs ${args.join(' ')}: ${stderr}`);
}

function rounded({ calls, p50, p99, longest }: Waits): Waits {
  const ms = (value: number): number => Math.round(value * 1000) / 1000;
  return { calls, p50: ms(p50), p99: ms(p99), longest: ms(longest) };
}

const root = fs.mkdtempSync(join(tmpdir(), 'vexfs-bench-checkpoint-'));
const mount = join(root, 'mnt');
try {
  note('loadAtBegin', loadavg()[0]!.toFixed(1));
  const path = join(root, 'store');
  const [filledIn, { store, lastLsn, logBytes }] = timed(() => fillStore(path, filling));
  note('records', lastLsn);
  note('logMiB', Math.round(logBytes / MIB));
  note('filled', filledIn);
  const { disk, identity } = store;

  const [replayedIn] = timed(() => {
    const tables = new ReplayedTables(capacity, systemClock, {});
    const state = loadState(disk, identity, tables);
    if (typeof state === 'string') throw new Error(state);
    replayLog(disk, identity.bytes, 0, tables.apply.bind(tables));
  });
  note('replay', replayedIn);
  note('replayCpuSecondsPerMillionRecords', Math.round((replayedIn.cpuSeconds / lastLsn) * 1e9) / 1000);

  const [madeIn, made] = timed(() =>
    makeCheckpoint(disk, identity, { capacity, untilLsn: lastLsn, shards: 2 }, systemClock),
  );
  if (made.kind !== 'made') throw new Error(JSON.stringify(made));
  note('checkpoint', madeIn);
  note('tablesMiB', Math.round(made.tableBytes / MIB));
  note('onDiskMiB', Math.round(made.diskBytes / MIB));
  settle(disk, identity, made.damaged);
  note('load', timed(() => loadState(disk, identity, new ReplayedTables(capacity, systemClock, {})))[0]);
  store.release();

  fs.mkdirSync(mount);
  const set = [
    `memory.budget=${filling.budget}`,
    `memory.max_files=${filling.maxFiles}`,
    'store.checkpoint_bytes=1GiB',
  ];
  const [mountedIn] = timed(() => vexfs('mount', path, mount, ...set.flatMap((pair) => ['--set', pair])));
  note('mountSeconds', mountedIn.seconds);
  note('waitsAloneMs', rounded(await waitsAlone(join(mount, 'alone'), values.quick ? 200 : ALONE_MS)));
  const { waits, report } = await waitsDuringCheckpoint(CLI, mount, join(mount, 'during'));
  note('waitsDuringCheckpointMs', rounded(waits));
  note('liveCheckpointSeconds', Math.round(report.milliseconds as number) / 1000);
  note('unmountSeconds', timed(() => vexfs('umount', mount))[0].seconds);
  note('loadAtEnd', loadavg()[0]!.toFixed(1));
  if (values.json) fs.writeFileSync(values.json, JSON.stringify(figures, null, 2));
} finally {
  spawnSync('umount', ['-l', mount]);
  fs.rmSync(root, { recursive: true, force: true });
}
