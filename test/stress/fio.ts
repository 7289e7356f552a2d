/** fio: four jobs write, read back and compare the CRC-32C of every block. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const JOBS = 4;
const LIMIT_MS = 300_000;

export interface FioRun {
  readonly engine: string;
  readonly rw: string;
  readonly direct: boolean;
}

/** Every engine in every order of access; a mapping cannot be direct. */
export const FIO_RUNS: readonly FioRun[] = ['psync', 'mmap', 'libaio', 'io_uring'].flatMap((engine) =>
  ['write', 'randwrite', 'rw', 'randrw'].flatMap((rw) =>
    (engine === 'mmap' ? [false] : [false, true]).map((direct) => ({ engine, rw, direct })),
  ),
);

export function fioVersion(): string | undefined {
  const { stdout, error } = spawnSync('fio', ['--version'], { encoding: 'utf8' });
  return error ? undefined : stdout.trim();
}

export function nameOf(run: FioRun): string {
  return `${run.engine} ${run.rw} ${run.direct ? 'direct' : 'buffered'}`;
}

/** What is wrong, or undefined: all blocks were as written. `megabytes` is the size of each job's file. */
export function fio(run: FioRun, directory: string, megabytes: number): string | undefined {
  const own = mkdtempSync(join(directory, 'fio-'));
  const args = [
    '--name=verify',
    `--directory=${own}`,
    `--ioengine=${run.engine}`,
    `--rw=${run.rw}`,
    `--direct=${run.direct ? 1 : 0}`,
    `--iodepth=${run.engine === 'libaio' || run.engine === 'io_uring' ? 16 : 1}`,
    `--numjobs=${JOBS}`,
    `--size=${megabytes}m`,
    '--bsrange=4k-64k',
    '--verify=crc32c',
    '--verify_fatal=1',
    '--verify_state_save=0',
    '--do_verify=1',
    '--end_fsync=1',
  ];
  const { status, stdout, stderr, error } = spawnSync('fio', args, { encoding: 'utf8', timeout: LIMIT_MS });
  rmSync(own, { recursive: true, force: true });
  if (error) return error.message;
  const complaint = /.*(verify|error|failed).*/i.exec(stderr)?.[0];
  return status === 0 && complaint === undefined
    ? undefined
    : (complaint ?? `${stdout}${stderr}`.slice(-400)).trim();
}
