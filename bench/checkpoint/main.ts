/** `npm run bench:checkpoint`: see docs/PERFORMANCE.md. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeCheckpoint, settle } from '../../actors/io/background-checkpoint.ts';
import { replayInto } from '../../actors/io/log-recovery.ts';
import { loadState } from '../../actors/io/recovery.ts';
import { ReplayedTables } from '../../actors/io/replayed-tables.ts';
import { systemClock } from '../../runtime/clock.ts';
import { GIB, MIB } from '../../runtime/config/bounds.ts';
import { CLI } from '../fuse/peers/peer.ts';
import { median } from '../runtime/measure.ts';
import { type FilledStore, fillStore } from './filled-store.ts';
import { pauses, type Waits } from './pause.ts';
import { killMount, timedMount, vexfs } from './timed-mount.ts';

const USAGE = `npm run bench:checkpoint -- [options]
  --files N       files in the store, each with a vector (1000000)
  --dimension N   of the vectors, 0 = none (128)
  --text          the vectors are those of text, one passage a file
  --rounds N      of loading, replaying, mounting and pauses; the best of each counts, of pauses the median (2)
  --only WHAT     replay, mount or pause
  --engine NAME   of the mounts (exact: no graph is built meanwhile)
  --json FILE     also write all figures there
  --quick         2,000 files: shows that everything runs, measures nothing`;

/** Less than so many seconds of a mount, of replaying a million records; milliseconds that a checkpoint adds to a wait. */
const TARGETS = { mountSeconds: 3, replaySecondsPerMillionRecords: 5, pauseMs: 10 };

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '1000000' },
    dimension: { type: 'string', default: '128' },
    text: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '2' },
    only: { type: 'string' },
    engine: { type: 'string', default: 'exact' },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const PARTS = ['replay', 'mount', 'pause'];
if (values.only !== undefined && !PARTS.includes(values.only)) {
  console.error(`--only: '${values.only}' is not one of ${PARTS.join(', ')}`);
  process.exit(2);
}
const files = values.quick ? 2000 : Number(values.files);
const dimension = Number(values.dimension);
const rounds = values.quick ? 1 : Number(values.rounds);
const isText = values.text;
const filling = { files, dimension, isText, maxFiles: Math.ceil(files * 1.6) + 10_000, budget: 2 * GIB };
const capacity = { maxFiles: filling.maxFiles, budget: filling.budget, inlineLimit: 16 * 1024 };
const figures: Record<string, unknown> = { files, dimension, isText };

function note(name: string, value: unknown): void {
  figures[name] = value;
  console.log(`${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}`);
}

function wants(what: string): boolean {
  return values.only === undefined || values.only === what;
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

function best(work: () => void): Duration {
  const runs = Array.from({ length: rounds }, () => timed(work)[0]);
  return runs.reduce((a, b) => (a.cpuSeconds < b.cpuSeconds ? a : b));
}

function rounded({ calls, p50, p99, longest }: Waits): Waits {
  const ms = (value: number): number => Math.round(value * 1000) / 1000;
  return { calls, p50: ms(p50), p99: ms(p99), longest: ms(longest) };
}

function replay({ store: { disk, identity }, lastLsn }: FilledStore): void {
  const replayedIn = best(() => {
    const tables = new ReplayedTables(capacity, systemClock);
    const state = loadState(disk, identity, tables);
    if (typeof state === 'string') throw new Error(state);
    const outcome = replayInto(tables, disk, identity.bytes, 0);
    if (typeof outcome === 'number' || outcome.lastLsn !== lastLsn) throw new Error('the log is not whole');
  });
  note('replay', replayedIn);
  note('replaySecondsPerMillionRecords', Math.round((replayedIn.seconds / lastLsn) * 1e9) / 1000);
  judge(
    'replaySecondsPerMillionRecords',
    (replayedIn.seconds / lastLsn) * 1e6,
    TARGETS.replaySecondsPerMillionRecords,
  );
  note('replayCpuSecondsPerMillionRecords', Math.round((replayedIn.cpuSeconds / lastLsn) * 1e9) / 1000);
}

function makeAndLoad({ store: { disk, identity }, lastLsn }: FilledStore): void {
  const [madeIn, made] = timed(() =>
    makeCheckpoint(
      disk,
      identity,
      { capacity, untilLsn: lastLsn, shards: 2, isDiskFull: false },
      systemClock,
    ),
  );
  if (made.kind !== 'made') throw new Error(JSON.stringify(made));
  note('checkpoint', madeIn);
  note('tablesMiB', Math.round(made.tableBytes / MIB));
  note('onDiskMiB', Math.round(made.diskBytes / MIB));
  settle(disk, identity, made.damaged, false);
  note(
    'loadOneThread',
    best(() => {
      const state = loadState(disk, identity, new ReplayedTables(capacity, systemClock));
      if (typeof state === 'string') throw new Error(state);
    }),
  );
}

function settings(): string[] {
  return [
    `memory.budget=${filling.budget}`,
    `memory.max_files=${filling.maxFiles}`,
    'store.checkpoint_bytes=1GiB',
    'vectors.shared=1GiB',
    `vectors.engine=${values.engine}`,
  ];
}

async function mounts(path: string, mount: string): Promise<void> {
  let fastest = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const vectors = { count: files, dimension, isText };
    const mounted = await timedMount(path, mount, settings(), vectors);
    note(`mountFromCheckpoint${round}`, mounted);
    fastest = Math.min(fastest, mounted.usableSeconds);
    if (round + 1 < rounds) await killMount(path, mount);
  }
  judge('mountSeconds', fastest, TARGETS.mountSeconds);
}

/** In turns: what a disk makes one wait for changes from minute to minute. */
async function waits(mount: string): Promise<void> {
  const added: { p99: number; longest: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const { during, alone, report } = await pauses(CLI, mount, String(round));
    note(`waitsDuringCheckpointMs${round}`, rounded(during));
    note(`waitsAloneMs${round}`, rounded(alone));
    note(`liveCheckpointSeconds${round}`, Math.round(report.milliseconds as number) / 1000);
    added.push({ p99: during.p99 - alone.p99, longest: during.longest - alone.longest });
  }
  judge('pauseMsP99', median(added.map(({ p99 }) => p99)), TARGETS.pauseMs);
  judge('pauseMsLongest', median(added.map(({ longest }) => longest)), TARGETS.pauseMs);
}

/** Says whether a target is met. */
function judge(name: string, value: number, most: number): void {
  const met = value < most ? 'met' : 'missed';
  note(`target.${name}`, `${value.toFixed(2)} (< ${most}: ${values.quick ? 'not judged' : met})`);
}

const root = fs.mkdtempSync(join(tmpdir(), 'vexfs-bench-checkpoint-'));
const mount = join(root, 'mnt');
const path = join(root, 'store');
try {
  note('loadAtBegin', loadavg()[0]!.toFixed(1));
  const [filledIn, filled] = timed(() => fillStore(path, filling));
  note('records', filled.lastLsn);
  note('logMiB', Math.round(filled.logBytes / MIB));
  note('filled', filledIn);
  if (wants('replay')) replay(filled);
  if (wants('mount') || wants('pause')) {
    makeAndLoad(filled);
    filled.store.release();
    fs.mkdirSync(mount);
    await mounts(path, mount);
    if (wants('pause')) await waits(mount);
    note('unmountSeconds', timed(() => vexfs('umount', mount))[0].seconds);
  }
  note('loadAtEnd', loadavg()[0]!.toFixed(1));
  if (values.json) fs.writeFileSync(values.json, JSON.stringify(figures, null, 2));
} finally {
  spawnSync('umount', ['-l', mount]);
  fs.rmSync(root, { recursive: true, force: true });
}
