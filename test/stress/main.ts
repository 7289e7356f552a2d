/**
 * `npm run stress`: stress-ng's filesystem class and fio with verification, on the host's filesystem and in a mount. What passes
 * on the host must pass in the mount; the exit code says whether it did.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { abortAllOnExit, MountedServer } from '../../bench/fuse/mounts.ts';
import { FIO_RUNS, fio, fioVersion, nameOf } from './fio.ts';
import { BEYOND_THE_CLASS, filesystemStressors, type Outcome, stress, stressNgVersion } from './stressors.ts';

const USAGE = `npm run stress -- [--seconds N] [--workers N] [--only NAME,…] [--places host,mount] [--set KEY=VALUE]…

  --seconds N    of each stressor in each place (default 30)
  --workers N    of each stressor (default 2)
  --only NAMES   these stressors; "fio" for what fio does; "class" for the filesystem class alone (default: all)
  --places P,…   host, mount (default both)
  --set K=V      a setting of the mount, repeatable
  --dir DIR      where the files are, on a filesystem to compare with (default ${os.tmpdir()})
  --megabytes N  size of the file of each of fio's four jobs (default 16)
`;
const CLI = new URL('../../cli/vexfs.js', import.meta.url).pathname;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    workers: { type: 'string', default: '2' },
    only: { type: 'string' },
    places: { type: 'string', default: 'host,mount' },
    set: { type: 'string', multiple: true, default: [] },
    dir: { type: 'string', default: os.tmpdir() },
    megabytes: { type: 'string', default: '16' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const places = values.places.split(',');
const only = values.only?.split(',');
const root = fs.mkdtempSync(path.join(values.dir, 'vexfs-stress-'));
abortAllOnExit();

interface Row {
  readonly name: string;
  readonly cells: readonly string[];
  readonly failsInMountOnly: boolean;
}

function table(head: readonly string[], rows: readonly Row[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map((row) => line([row.name, ...row.cells]))].join(
    '\n',
  );
}

/** The mount, whose process says what ends it; it is mounted again after that, so that what follows is not of another filesystem. */
class Mount {
  readonly directory = path.join(root, 'mount');
  #server: MountedServer | undefined;

  async start(): Promise<void> {
    const settings = values.set.flatMap((setting) => ['--set', setting]);
    const args = [
      CLI,
      'mount',
      '-f',
      '-o',
      'suid,dev',
      ...settings,
      path.join(root, 'store'),
      this.directory,
    ];
    const unmount = [process.execPath, CLI, 'umount', this.directory];
    this.#server = await MountedServer.start(this.directory, { command: process.execPath, args, unmount });
  }

  /** Why it is gone, or undefined; then it has been mounted again. */
  async gone(): Promise<string | undefined> {
    if (this.#server === undefined || this.#server.alive) return undefined;
    const { said } = this.#server;
    this.#server.abort();
    await this.start();
    return `the mount ended: ${said.slice(-300).replaceAll('\n', ' ')}`;
  }

  async stop(): Promise<string | undefined> {
    return this.#server?.stop();
  }
}

const mount = new Mount();

/** A directory in each place, in the order of `places`. */
async function directories(): Promise<string[]> {
  if (places.includes('mount')) await mount.start();
  return places.map((place) => {
    const directory = path.join(root, place);
    fs.mkdirSync(directory, { recursive: true });
    return directory;
  });
}

const words: Record<Outcome['verdict'], string> = {
  passed: '',
  failed: '**failed** ',
  nothing: 'not offered',
  unfinished: 'no whole loop',
  hung: '**hung** ',
};

async function stressed(name: string, found: readonly string[]): Promise<Row> {
  const outcomes: Outcome[] = [];
  for (const directory of found) {
    const own = fs.mkdtempSync(path.join(directory, `${name}-`));
    const outcome = await stress(name, Number(values.workers), Number(values.seconds), own);
    const gone = await mount.gone();
    outcomes.push(gone ? { ...outcome, verdict: 'failed', said: [gone, ...outcome.said] } : outcome);
    // What stress-ng leaves may be deeper than fs.rmSync can follow.
    spawnSync('rm', ['-rf', own]);
  }
  const cells = outcomes.map(
    (one) => `${words[one.verdict]}${one.rate > 0 ? one.rate.toFixed(one.rate < 10 ? 1 : 0) : ''}`,
  );
  const said = outcomes.flatMap((one, i) => one.said.map((text) => `${places[i]}: ${text}`));
  const inMount = outcomes[places.indexOf('mount')]?.verdict ?? 'passed';
  const onHost = outcomes[places.indexOf('host')]?.verdict ?? 'passed';
  return {
    name,
    cells: [...cells, said.join('; ')],
    failsInMountOnly: (inMount === 'failed' || inMount === 'hung') && onHost === 'passed',
  };
}

async function verified(found: readonly string[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const run of FIO_RUNS) {
    const wrong = found.map((directory) => fio(run, directory, Number(values.megabytes)));
    const gone = await mount.gone();
    if (gone) wrong[places.indexOf('mount')] = gone;
    const cells = wrong.map((text) => text ?? 'no mismatch');
    console.error(`fio ${nameOf(run)}: ${cells.join(' | ')}`);
    const inMount = wrong[places.indexOf('mount')];
    const onHost = wrong[places.indexOf('host')];
    rows.push({ name: nameOf(run), cells, failsInMountOnly: inMount !== undefined && onHost === undefined });
  }
  return rows;
}

const ofClass = filesystemStressors();
const all = only?.includes('class') ? (ofClass ?? []) : [...(ofClass ?? []), ...BEYOND_THE_CLASS];
const chosen = only && !only.includes('class') ? all.filter((name) => only.includes(name)) : all;
const found = await directories();
const load = () => os.loadavg()[0]!.toFixed(1);
const began = load();
const rows: Row[] = [];
for (const name of chosen) {
  const row = await stressed(name, found);
  rows.push(row);
  console.error([row.name, ...row.cells].join(' | '));
}
const fioRows = fioVersion() !== undefined && (!only || only.includes('fio')) ? await verified(found) : [];
const wrong = await mount.stop();

console.log(
  `Linux ${os.release()}, ${os.cpus().length} CPUs, load average ${began} at the beginning, ${load()} at the end\n`,
);
if (ofClass === undefined) console.log('stress-ng is not installed: apt-get install stress-ng');
else if (rows.length > 0) {
  console.log(
    `stress-ng ${stressNgVersion()}, ${values.workers} workers of each for ${values.seconds} s, bogo operations/s\n`,
  );
  console.log(table(['stressor', ...places, 'said'], rows));
}
if (fioVersion() === undefined) console.log('fio is not installed: apt-get install fio');
else if (fioRows.length > 0) {
  console.log(`\n${fioVersion()}, 4 jobs of ${values.megabytes} MiB, blocks of 4 to 64 KiB, crc32c\n`);
  console.log(table(['run', ...places], fioRows));
}
const bad = [...rows, ...fioRows].filter((row) => row.failsInMountOnly).map((row) => row.name);
if (wrong !== undefined) console.log(`\nthe mount did not end in order: ${wrong}`);
console.log(
  bad.length === 0
    ? '\nnothing fails in the mount that passes on the host'
    : `\nfails in the mount only: ${bad.join(', ')}`,
);
if (wrong === undefined) fs.rmSync(root, { recursive: true, force: true });
process.exit(bad.length > 0 || wrong !== undefined ? 1 : 0);
