/** A mount whose requests come over io_uring. VEXFS_CHANNEL=uring runs the other tests of this folder on that channel, too. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { enableUring } from '../../fuse/session/uring-support.ts';
import { ENOSYS, EPERM } from '../../runtime/errno.ts';
import { possibleCpus } from '../../runtime/system/cpu-list.ts';
import { NO_URING } from '../no-uring.ts';
import { CLI, Mounted, titled } from './mounted.ts';

const LOAD = new URL('./load.js', import.meta.url).pathname;
const SUPPORT = new URL('../../fuse/session/uring-support.js', import.meta.url).href;
const FORBID = new URL('./forbid-io-uring.js', import.meta.url).href;
const NOBODY = 65_534;
/** As pino numbers it. */
const WARN = 40;
const PARAMETER = '/sys/module/fuse/parameters/enable_uring';
/** Nothing here takes this long, unless it hangs. */
const PATIENCE_MS = 60_000;
const DEATHS = ['crash', 'end'];
const ON_URING = ['--set', 'fuse.channel=uring', '--set', 'fuse.enable_uring=true'];

const before = existsSync(PARAMETER) ? readFileSync(PARAMETER, 'latin1').trim() : undefined;
let fs: Mounted;
let loads: ChildProcess[];

beforeEach(() => {
  fs = new Mounted('[workers]\nfuse = 2\nfuse_max = 3\n');
  loads = [];
});
afterEach(() => {
  for (const load of loads) load.kill('SIGKILL');
  fs.dispose();
});
afterAll(() => {
  if (before !== undefined && NO_URING === undefined) writeFileSync(PARAMETER, before);
});

function startLoad(n: number): () => number {
  const progress = join(fs.root, `progress-${n}`);
  const child = spawn(process.execPath, [LOAD, fs.dir, progress, `load-${n}`], { stdio: 'inherit' });
  loads.push(child);
  return () => {
    expect(child.exitCode, `load ${n}`).toBe(null);
    return existsSync(progress) ? Number.parseInt(readFileSync(progress, 'latin1'), 10) || 0 : 0;
  };
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`it did not come to that: ${what}`);
    await new Promise((resume) => setTimeout(resume, 20));
  }
}

/** By the names of the fuse actors' threads, where each may run: a list as the kernel writes it. */
function placesOfThreads(): Record<string, string> {
  const tasks = `/proc/${fs.pid}/task`;
  const places = readdirSync(tasks).map((id) => {
    const status = readFileSync(join(tasks, id, 'status'), 'latin1');
    return [/^Name:\s+(.*)$/m.exec(status)![1]!, /^Cpus_allowed_list:\s+(.*)$/m.exec(status)![1]!];
  });
  return Object.fromEntries(places.filter(([name]) => name!.startsWith('fuse-')));
}

/** What `vexfs mount` finds before it mounts, in a process of its own. */
function obstacleTo(user: number, options: readonly string[], shell = ''): string {
  const script = `const { uringObstacle } = await import('${SUPPORT}');
    if (${user} !== 0) { process.setgroups([]); process.setgid(${user}); process.setuid(${user}); }
    console.log(uringObstacle(2, 128)?.why ?? 'nothing');`;
  const node = [process.execPath, ...options, '--input-type=module', '-e', script];
  const args = ['-c', `${shell} exec "$@"`, 'sh', ...node];
  return spawnSync('sh', args, { encoding: 'utf8', timeout: PATIENCE_MS }).stdout.trim();
}

describe.skipIf(NO_URING !== undefined)(
  titled('what forbids io_uring is found before a mount', NO_URING),
  () => {
    beforeAll(() => {
      enableUring();
    });

    test('a seccomp filter, whatever errno it gives', () => {
      expect(obstacleTo(0, [])).toBe('nothing');
      for (const errno of [EPERM, ENOSYS]) {
        const options = ['--import', FORBID];
        expect(obstacleTo(0, options, `export VEXFS_TEST_ERRNO=${errno};`)).toContain('may not use io_uring');
      }
    });

    test('memory that may be locked for one ring and not for those of all fuse actors', () => {
      expect(obstacleTo(NOBODY, [], 'ulimit -l 8192;')).toBe('nothing');
      expect(obstacleTo(NOBODY, [], 'ulimit -l 40;')).toContain('limit of locked memory');
    });
  },
);

describe.skipIf(NO_URING !== undefined)(titled('over io_uring', NO_URING), () => {
  test('the thread that serves dies again and again under load: no call fails, and none waits for ever', {
    timeout: 2 * PATIENCE_MS,
  }, async () => {
    fs.mount(ON_URING);
    expect(fs.ok(['status', fs.dir])).toContain('over io_uring (as fuse.channel says)');
    const progress = [0, 1].map(startLoad);
    const goOn = async (what: string) => {
      const reached = progress.map((of) => of());
      await until(what, () => progress.every((of, n) => of() > reached[n]!));
    };
    await goOn('the loads begin');
    for (const [i, death] of DEATHS.entries()) {
      fs.ok(['console', fs.dir, '-c', `kill fuse-0 ${death}`]);
      const restarted = `"restarted":"fuse-0","restarts":${i + 1}`;
      await until(restarted, () => readFileSync(join(fs.store, 'vexfs.log'), 'utf8').includes(restarted));
      await goOn(`the loads go on after it has died of ${death}`);
    }
    const facts = fs.ok(['console', fs.dir, '-c', 'inspect fuse-0', '--json']);
    expect(JSON.parse(facts)).toMatchObject({ absent: 0 });
    // On other machines the CPUs that there may be are not those that there are, or are more than these two rows.
    if (possibleCpus() === 2 && availableParallelism() === 2)
      expect(placesOfThreads(), 'each runs where its queue is').toEqual({ 'fuse-0': '0', 'fuse-1': '1' });
    for (const load of loads) load.kill('SIGKILL');
    fs.unmount();
  });

  test('an unmount by force while a request waits for another actor ends both the waiting and the mount', {
    timeout: PATIENCE_MS,
  }, async () => {
    fs.mount(ON_URING);
    fs.ok(['console', fs.dir, '-c', 'pause indexer']);
    const waiting = spawn('ls', [join(fs.dir, '.vexfs/search/bread')], { stdio: 'ignore' });
    loads.push(waiting);
    await until('the search waits', () =>
      fs.ok(['console', fs.dir, '-c', 'mailbox indexer']).includes('QUERY'),
    );
    expect(spawnSync('umount', ['-f', '-l', fs.dir], { timeout: 10_000 }).status).toBe(0);
    await until('the search ends', () => waiting.exitCode !== null);
    expect(waiting.exitCode).not.toBe(0);
  });

  test('where the kernel’s parameter is off, doctor names the command, "uring" is refused and "auto" serves', {
    timeout: PATIENCE_MS,
  }, () => {
    const off = join(fs.root, 'off');
    writeFileSync(off, 'N\n');
    const script = `mount --bind ${off} ${PARAMETER} && mount -o remount,bind,ro ${PARAMETER} && cd ${fs.root}
      run() { "${process.execPath}" "${CLI}" "$@" 2>&1; }
      run doctor; run mount store mnt --set fuse.channel=uring; echo "refused: $?"
      run mount store mnt --set fuse.enable_uring=true && run status mnt; run umount mnt; echo "unmounted: $?"`;
    const args = ['--mount', '--propagation', 'private', 'sh', '-c', script];
    const { stdout } = spawnSync('unshare', args, { encoding: 'utf8', timeout: PATIENCE_MS });
    expect(stdout).toContain(`run "echo Y > ${PARAMETER}" as root`);
    expect(stdout).toContain('fuse.channel is "uring", and it is switched off in the kernel');
    expect(stdout).toContain('refused: 1');
    expect(stdout).toContain('by the classic channel (it is switched off in the kernel)');
    expect(stdout).toContain('unmounted: 0');
    const log = readFileSync(join(fs.store, 'vexfs.log'), 'utf8').split('\n');
    const said = log.filter((line) => line.includes('the channel of requests'));
    expect(said.map((line) => JSON.parse(line).level)).toEqual([WARN]);
  });
});
