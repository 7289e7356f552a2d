/**
 * A FUSE server as a child process: start, wait for its mount, unmount, and leave nothing behind whatever happens. Nothing
 * here touches the mount itself (a hung one would hang the benchmark): its state is read from mountinfo.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const MOUNT_TIMEOUT_MS = 20_000;
const UNMOUNT_TIMEOUT_MS = 30_000;
const END_TIMEOUT_MS = 5_000;
const POLL_MS = 20;
const asRoot = process.getuid?.() === 0;

/** Minor device number of what is mounted on `directory`, which is also its FUSE connection number. */
export function mountedDevice(directory: string): number | undefined {
  for (const row of fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n').reverse()) {
    const fields = row.split(' ');
    if (fields[4]?.replaceAll('\\040', ' ') === directory) return Number(fields[2]!.split(':')[1]);
  }
  return undefined;
}

async function until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  for (const end = performance.now() + timeoutMs; performance.now() < end; await delay(POLL_MS)) {
    if (condition()) return true;
  }
  return condition();
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

/** Runs a command to its end; what it printed to standard error is the reason when it fails. */
export async function run(
  command: string,
  args: readonly string[],
  timeoutMs: number,
  options: { cwd?: string } = {},
): Promise<string | undefined> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  child.on('error', (error) => {
    said += error.message;
  });
  if (!(await until(() => ended(child), timeoutMs))) {
    child.kill('SIGKILL');
    return `${command} did not end within ${timeoutMs / 1000} s`;
  }
  return child.exitCode === 0 ? undefined : said.trim() || `${command} failed`;
}

/**
 * Makes every request of a hung connection fail, so that its callers can end, and takes the mount away. Synchronous: also used
 * while exiting.
 */
function abort(directory: string): void {
  const device = mountedDevice(directory);
  if (device === undefined) return;
  try {
    fs.writeFileSync(`/sys/fs/fuse/connections/${device}/abort`, '1');
  } catch {
    // fusectl is not mounted or this is not root: a forced unmount, or the end of the server, aborts as well
  }
  const [command, ...args] = asRoot
    ? ['umount', '-f', '-l', directory]
    : ['fusermount3', '-u', '-z', directory];
  spawnSync(command!, args, { timeout: END_TIMEOUT_MS, stdio: 'ignore' });
}

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** How the server wants to be unmounted; `umount` or `fusermount3 -u` unless given. */
  readonly unmount?: readonly string[];
}

const running = new Set<MountedServer>();

export class MountedServer {
  readonly directory: string;
  readonly #child: ChildProcess;
  readonly #unmount: readonly string[];
  #said = '';

  private constructor(directory: string, server: ServerCommand) {
    this.directory = directory;
    this.#unmount = server.unmount ?? (asRoot ? ['umount', directory] : ['fusermount3', '-u', directory]);
    // a process group of its own: Ctrl-C reaches the benchmark alone, which then ends things in order
    this.#child = spawn(server.command, server.args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      env: { ...process.env, ...server.environment },
    });
    const keep = (text: unknown) => {
      this.#said = `${this.#said}${text}`.slice(-2000);
    };
    this.#child.stderr!.on('data', keep);
    this.#child.on('error', keep);
  }

  /** Throws, with what the server said, when there is no mount in time. */
  static async start(directory: string, server: ServerCommand): Promise<MountedServer> {
    fs.mkdirSync(directory, { recursive: true });
    const mounted = new MountedServer(directory, server);
    running.add(mounted);
    const up = () => mountedDevice(directory) !== undefined;
    await until(() => up() || ended(mounted.#child), MOUNT_TIMEOUT_MS);
    if (up()) return mounted;
    await mounted.stop();
    throw new Error(`no mount: ${mounted.#said.trim() || `${server.command} said nothing`}`);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The end of what it wrote to standard error. */
  get said(): string {
    return this.#said.trim();
  }

  get alive(): boolean {
    return !ended(this.#child) && mountedDevice(this.directory) !== undefined;
  }

  /** Unmounts in order. Returns what went wrong, if anything did; the mount is gone in either case. */
  async stop(): Promise<string | undefined> {
    let wrong: string | undefined;
    if (mountedDevice(this.directory) !== undefined) {
      const [command, ...args] = this.#unmount;
      wrong = await run(command!, args, UNMOUNT_TIMEOUT_MS);
    }
    if (!(await until(() => ended(this.#child), END_TIMEOUT_MS)))
      wrong ??= 'the server did not end by itself';
    this.abort();
    return wrong;
  }

  /** At once and without ceremony. */
  abort(): void {
    abort(this.directory);
    if (!ended(this.#child)) process.kill(-this.pid, 'SIGKILL'); // its group, of which it is the leader
    running.delete(this);
  }
}

/** However this process ends (short of SIGKILL), what it mounted goes with it. */
export function abortAllOnExit(): void {
  process.on('exit', () => {
    for (const server of running) server.abort();
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
}
