/** A store mounted for one test file through the real command line, and taken down whatever happens. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fuseUnavailable } from '../../fuse/mount/mount.ts';
import { VEXFS } from '../bundle.ts';

/** A checkpoint on a busy machine takes its time. */
const END_TIMEOUT_MS = 30_000;

/** VEXFS_PROGRAM=dist/cli/vexfs.js: single modules, for traces with the compiler's lines. */
export const CLI = resolve(process.env.VEXFS_PROGRAM ?? VEXFS);

/** Why no mount can be made here, or undefined. */
export const NO_FUSE = fuseUnavailable();

/** VEXFS_CHANNEL=uring or classic runs all these tests on that channel. */
const CHANNEL = process.env.VEXFS_CHANNEL
  ? ['--set', `fuse.channel=${process.env.VEXFS_CHANNEL}`, '--set', 'fuse.enable_uring=true']
  : [];

/** `title`, with the reason appended where the test cannot run. */
export function titled(title: string, reason: string | undefined): string {
  return reason ? `${title} (skipped: ${reason})` : title;
}

/** Why a test that needs this program cannot run, or undefined. */
export function missing(command: string): string | undefined {
  return spawnSync(command, ['--version']).error ? `${command} is not installed` : undefined;
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line; never throws for a failure of the command. */
export function vexfs(args: readonly string[], timeoutMs = 60_000): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    encoding: 'utf8',
    timeout: timeoutMs,
    maxBuffer: 64 << 20,
  });
  return { code: status, stdout, stderr };
}

export class Mounted {
  readonly root = mkdtempSync(join(tmpdir(), 'vexfs-e2e-'));
  readonly store = join(this.root, 'store');
  readonly dir = join(this.root, 'mnt');

  constructor(config = '') {
    mkdirSync(this.dir);
    if (config) writeFileSync(this.configFile, config);
  }

  private get configFile(): string {
    return join(this.root, 'vexfs.toml');
  }

  mount(extra: readonly string[] = []): void {
    const config = existsSync(this.configFile) ? ['--config', this.configFile] : [];
    const outcome = vexfs(['mount', this.store, this.dir, ...config, ...CHANNEL, ...extra]);
    if (outcome.code !== 0) throw new Error(`mount failed: ${outcome.stderr}${outcome.stdout}`);
  }

  unmount(): void {
    const outcome = vexfs(['umount', this.dir]);
    if (outcome.code !== 0) throw new Error(`umount failed: ${outcome.stderr}${outcome.stdout}`);
  }

  get pid(): number {
    return (JSON.parse(this.ok(['status', this.dir, '--json'])) as { pid: number }).pid;
  }

  /** Output of a command that must succeed. */
  ok(args: readonly string[], timeoutMs?: number): string {
    const outcome = vexfs(args, timeoutMs);
    if (outcome.code !== 0) throw new Error(`vexfs ${args.join(' ')}: ${outcome.stderr}${outcome.stdout}`);
    return outcome.stdout;
  }

  /** Runs a program with the mount as working directory; throws with its output when it fails or hangs. */
  run(command: string, args: readonly string[], options: { cwd?: string; timeoutMs?: number } = {}): string {
    return execFileSync(command, [...args], {
      cwd: options.cwd ?? this.dir,
      timeout: options.timeoutMs ?? 120_000,
      killSignal: 'SIGKILL',
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 256 << 20,
    });
  }

  /** A program with the mount as working directory. */
  start(command: string, args: readonly string[]): ChildProcess {
    return spawn(command, [...args], { cwd: this.dir, stdio: ['pipe', 'pipe', 'ignore'] });
  }

  /** Ends the filesystem process without any chance to tidy up; its dead mount stays. */
  async kill(): Promise<void> {
    const { pid } = this;
    process.kill(pid, 'SIGKILL');
    while (this.isServed()) await new Promise((resume) => setTimeout(resume, 20));
  }

  /** Unmounts whatever is left, waits until its process is gone, and removes the folder. */
  dispose(): void {
    spawnSync('umount', ['-l', this.dir], { timeout: 10_000 });
    const deadline = performance.now() + END_TIMEOUT_MS;
    while (this.isServed()) {
      if (performance.now() > deadline) throw new Error(`the process that serves ${this.store} does not end`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    }
    // Still mounted: then what would be removed is not ours to remove.
    if (readdirSync(this.dir).length === 0) rmSync(this.root, { recursive: true, force: true });
  }

  /** Whether the process that holds the lock of the store is this store's and runs. */
  private isServed(): boolean {
    try {
      const pid = readFileSync(join(this.store, 'lock'), 'utf8').trim();
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(this.store);
    } catch {
      return false;
    }
  }
}
