import { accessSync, closeSync, constants, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Command } from 'commander';
import { version } from '../actors/version.ts';
import { GIB } from '../runtime/config/bounds.ts';
import { roundSize } from '../runtime/config/size.ts';
import { zstdProblem } from '../runtime/storage/zstd-problem.ts';
import { hasSysAdmin } from '../runtime/system/capabilities.ts';
import { collect } from './arguments.ts';
import { type ConfigChoice, describePlan, placementFindings, type ShownPlan } from './doctor-placement.ts';
import { print, printJson, style, table } from './terminal.ts';

export interface Finding {
  readonly check: string;
  /** A warning costs speed or a feature; a failure prevents mounting. */
  readonly state: 'ok' | 'warning' | 'failed';
  readonly found: string;
  readonly advice?: string;
  /** With the check "placement": who would run where. */
  readonly plan?: ShownPlan;
}

const HELP = `
Exit code 0: VexFS can mount here. 1: something is missing, and the line says what to do.

Examples:
  vexfs doctor                                  this machine, and the defaults
  vexfs doctor ~/notes.vexfs                    this machine, and how a mount of this store would use it
  vexfs doctor --set workers.fuse=4 --set placement=auto

JSON: [{"check", "state": "ok" | "warning" | "failed", "found", "advice"?, "plan"?}, …]; the check "placement" has the
plan: {"mode", "inForce", "notes", "actors": [{"actor", "cpus", "node", "why"}, …]}, node −1 = none in particular.`;

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .summary('check whether this machine can mount')
    .description(
      'Check what VexFS needs of this machine, and say what is missing and which thread would run where.',
    )
    .argument('[store]', 'a store, to take its configuration (default: the defaults)')
    .option('-c, --config <file>', 'a configuration file')
    .option('-s, --set <key=value>', 'override a value of the configuration; repeatable', collect, [])
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(doctor);
}

interface Options {
  readonly json?: true;
  readonly config?: string;
  readonly set: string[];
}

async function doctor(store: string | undefined, options: Options): Promise<void> {
  const findings = await examine({ ...options, store });
  if (options.json) {
    printJson(findings);
  } else {
    const marks = {
      ok: style('green', 'ok'),
      warning: style('yellow', 'warning'),
      failed: style('red', 'FAILED'),
    };
    const rows = findings.map(({ check, state, found, advice }) => [
      marks[state],
      check,
      advice === undefined ? found : `${found}: ${advice}`,
    ]);
    for (const line of table(rows)) print(line);
    const plan = findings.find((finding) => finding.plan !== undefined)?.plan;
    if (plan !== undefined) for (const line of describePlan(plan)) print(line);
  }
  if (findings.some(({ state }) => state === 'failed')) process.exitCode = 1;
}

async function examine(choice: ConfigChoice): Promise<Finding[]> {
  return [
    { check: 'vexfs', state: 'ok', found: version() },
    nodeVersion(),
    kernelVersion(),
    await nativeCalls(),
    await compression(),
    fuseDevice(),
    await requestChannel(),
    mountPermission(),
    memory(),
    wordTable(),
    ...placementFindings(choice),
  ];
}

function numbers(text: string): [number, number] {
  const [major = '0', minor = '0'] = text.split('.');
  return [Number.parseInt(major, 10), Number.parseInt(minor, 10)];
}

function atLeast([major, minor]: [number, number], wantedMajor: number, wantedMinor: number): boolean {
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function nodeVersion(): Finding {
  const found = process.versions.node;
  if (atLeast(numbers(found), 20, 19)) return { check: 'Node.js', state: 'ok', found };
  return { check: 'Node.js', state: 'failed', found, advice: 'install Node.js 20.19 or newer' };
}

function kernelVersion(): Finding {
  const found = release();
  const check = 'kernel';
  if (process.platform !== 'linux')
    return { check, state: 'failed', found: process.platform, advice: 'use Linux' };
  if (atLeast(numbers(found), 5, 4)) return { check, state: 'ok', found };
  return { check, state: 'failed', found, advice: 'VexFS needs Linux 5.4 or newer' };
}

async function nativeCalls(): Promise<Finding> {
  const check = 'system calls';
  try {
    const { getXattr } = await import('../runtime/system/xattr.ts');
    getXattr('/', 'user.vexfs.doctor', new Uint8Array(1));
    return { check, state: 'ok', found: 'koffi works' };
  } catch (error) {
    const found = `koffi does not load (${(error as Error).message.split('\n')[0]})`;
    return { check, state: 'failed', found, advice: 'run "npm ci" on this machine' };
  }
}

async function compression(): Promise<Finding> {
  const problem = await zstdProblem();
  const check = 'compression';
  if (problem === undefined) return { check, state: 'ok', found: 'zstd works' };
  return { check, state: 'failed', found: problem };
}

function fuseDevice(): Finding {
  const check = '/dev/fuse';
  try {
    closeSync(openSync('/dev/fuse', constants.O_RDWR));
    return { check, state: 'ok', found: 'can be opened' };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') {
      const advice =
        'run "modprobe fuse" as root; in a container start it with --device /dev/fuse --cap-add SYS_ADMIN';
      return { check, state: 'failed', found: 'missing', advice };
    }
    const advice = 'give this user read and write access, or in a container start it with --device /dev/fuse';
    return { check, state: 'failed', found: `cannot be opened (${code})`, advice };
  }
}

async function requestChannel(): Promise<Finding> {
  const check = 'io_uring';
  try {
    const { uringObstacle } = await import('../fuse/session/uring-support.ts');
    const obstacle = uringObstacle();
    if (obstacle === undefined)
      return { check, state: 'ok', found: 'requests can come over it (fuse.channel)' };
    const advice = obstacle.advice === undefined ? {} : { advice: obstacle.advice };
    // Nothing is missing: the classic channel serves as well.
    return { check, state: 'ok', found: `not to be had, ${obstacle.why}`, ...advice };
  } catch (error) {
    return { check, state: 'warning', found: `cannot be examined (${(error as Error).message})` };
  }
}

function findProgram(name: string): string | undefined {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  return undefined;
}

function mountPermission(): Finding {
  const check = 'permission';
  const root = process.geteuid?.() === 0;
  if (root && hasSysAdmin()) return { check, state: 'ok', found: 'root, may mount' };
  if (root) {
    const advice = 'start the container with --cap-add SYS_ADMIN';
    return { check, state: 'failed', found: 'root without CAP_SYS_ADMIN', advice };
  }
  const helper = findProgram('fusermount3');
  if (helper === undefined) {
    const advice = 'install it ("apt-get install fuse3"), or mount as root';
    return { check, state: 'failed', found: 'an ordinary user needs fusermount3', advice };
  }
  if ((statSync(helper).mode & 0o4000) === 0) {
    const advice = `make it setuid root ("chmod u+s ${helper}" as root), or mount as root`;
    return { check, state: 'failed', found: `${helper} is not setuid`, advice };
  }
  return { check, state: 'ok', found: `ordinary user, mounts with ${helper}` };
}

function memory(): Finding {
  const check = 'memory';
  const meminfo = readFileSync('/proc/meminfo', 'utf8');
  const available = Number(/^MemAvailable:\s*(\d+)/m.exec(meminfo)?.[1] ?? 0) * 1024;
  // 0 or a huge number where no cgroup limits this process.
  const limit = process.constrainedMemory();
  const usable = limit > 0 ? Math.min(available, limit) : available;
  const found = `${roundSize(usable)} available`;
  if (usable >= GIB) return { check, state: 'ok', found };
  return { check, state: 'warning', found, advice: 'lower memory.budget (1GiB by default) below that' };
}

function wordTable(): Finding {
  const check = 'word table';
  const path = new URL('../kernels/text/words.bin', import.meta.url);
  if (existsSync(path)) return { check, state: 'ok', found: roundSize(statSync(path).size) };
  return {
    check,
    state: 'failed',
    found: 'missing',
    advice: 'run "npm run build"; it is what texts are compared with',
  };
}
