/** `npm run bench:fuse`: see docs/PERFORMANCE.md. */
import fs from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { compare, type Outcome, type Plan } from './harness.ts';
import { abortAllOnExit } from './mounts.ts';
import { OPERATIONS } from './operations.ts';
import { bindfs, bindfsMultithreaded } from './peers/bindfs.ts';
import { fuseNative, fuseNativeTuned } from './peers/fuse-native.ts';
import { gocryptfs } from './peers/gocryptfs.ts';
import { host } from './peers/host.ts';
import { passthroughLl, passthroughLlCached } from './peers/passthrough-ll.ts';
import { vexfs, vexfsClassic, vexfsPassthrough, vexfsUring, vexfsWorkers } from './peers/vexfs.ts';
import { markdown, type Report, summarise } from './report.ts';

const PEERS = [
  host,
  vexfs,
  vexfsClassic,
  vexfsUring,
  vexfsPassthrough,
  passthroughLl,
  passthroughLlCached,
  bindfs,
  bindfsMultithreaded,
  gocryptfs,
  fuseNative,
  fuseNativeTuned,
];
const BY_DEFAULT = 'host,vexfs,vexfs-passthrough,passthrough_ll,bindfs,gocryptfs,fuse-native';

const USAGE = `npm run bench:fuse -- [options]
  --rounds N     rounds of every operation by every peer (5)
  --peers A,B    of ${PEERS.map((peer) => peer.name).join(', ')}
                 (${BY_DEFAULT})
  --channel A,B  beside vexfs as it chooses, on these channels: classic, uring
  --workers A,B  VexFS with so many fuse actors, and if no --peers are given, nothing else
  --clients A,B  how many processes do the same at the same time (1); who is not VexFS takes part with the fewest and the most
  --ops A,B      of ${OPERATIONS.map((operation) => operation.name).join(', ')} (all)
  --dir DIR      where to work, on the host filesystem to be compared with (${os.tmpdir()})
  --placement P  free, together (client and server on one CPU) or apart (free)
  --json FILE    also write every sample and row there, after each round
  --quick        few, short operations: shows that everything runs, measures nothing`;

/** The named ones, in the order given; ends the process when a name is unknown. */
function pick<T extends { name: string }>(all: readonly T[], names: readonly string[]): T[] {
  const unknown = names.find((name) => !all.some((one) => one.name === name));
  if (unknown !== undefined) {
    console.error(`'${unknown}' is not one of ${all.map((one) => one.name).join(', ')}`);
    process.exit(2);
  }
  return names.map((name) => all.find((one) => one.name === name)!);
}

function parse() {
  const options = {
    rounds: { type: 'string', default: '5' },
    peers: { type: 'string' },
    ops: { type: 'string', default: OPERATIONS.map((operation) => operation.name).join(',') },
    dir: { type: 'string', default: os.tmpdir() },
    channel: { type: 'string' },
    workers: { type: 'string' },
    clients: { type: 'string', default: '1' },
    placement: { type: 'string', default: 'free' },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  } as const;
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

const values = parse();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error(`--rounds wants a whole number from 1, not '${values.rounds}'`);
  process.exit(2);
}
/** Whole numbers from 1 on. */
function counts(option: string, value: string, most: number): number[] {
  const all = value.split(',').map(Number);
  if (all.every((count) => Number.isInteger(count) && count >= 1 && count <= most)) return all;
  console.error(`--${option} wants whole numbers from 1 to ${most}, not '${value}'`);
  process.exit(2);
}
const workers = values.workers === undefined ? [] : counts('workers', values.workers, 16).map(vexfsWorkers);
const named = values.peers?.split(',') ?? (workers.length > 0 ? [] : BY_DEFAULT.split(','));
const channels = values.channel?.split(',').map((channel) => `vexfs-${channel}`) ?? [];
const { placement } = values;
if (placement !== 'free' && placement !== 'together' && placement !== 'apart') {
  console.error(`--placement wants free, together or apart, not '${placement}'`);
  process.exit(2);
}
const peers = [...workers, ...pick(PEERS, [...new Set([...named, ...channels])])];
let report: Report | undefined;
let isOver = false;

/** What a run that is interrupted has to show: the rounds that it has done. */
function keep(outcome: Outcome): void {
  report = summarise(plan, outcome);
  if (values.json !== undefined) fs.writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
}

const plan: Plan = {
  peers,
  subject: peers.includes(vexfs) ? vexfs.name : peers[0]!.name,
  clients: counts('clients', values.clients, 64),
  operations: pick(OPERATIONS, values.ops.split(',')),
  rounds,
  quick: values.quick,
  placement,
  parent: fs.realpathSync(values.dir),
  say: (text) => console.error(text),
  afterRound: keep,
};
process.on('exit', () => {
  if (!isOver && report !== undefined) console.log(markdown(report));
});
abortAllOnExit();
const outcome = await compare(plan);
keep(outcome);
isOver = true;
console.log(markdown(report!));
// a peer that fails under load is a finding; one that is not installed is not
const failures = [
  ...[...outcome.troubles.values()].filter((reason) => !reason.startsWith('missing')),
  ...[...outcome.skipped.values()].filter((reason) => reason.startsWith('failed')),
];
process.exit(failures.length > 0 ? 1 : 0);
