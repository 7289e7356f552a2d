/** The console and top, on a mount that is kept busy, in a terminal and out of one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../cli/console-commands.ts';
import { possibleCpus } from '../../runtime/system/cpu-list.ts';
import { testsInTerminal } from './console-terminal.ts';
import { CLI, Mounted, NO_FUSE, titled, vexfs } from './mounted.ts';
import { NO_TERMINAL } from './pseudo-terminal.ts';

const LOAD = new URL('./load.js', import.meta.url).pathname;
const ACTORS = ['main', 'io-0', 'io-1', 'shard-0', 'shard-1', 'pool', 'stats', 'indexer', 'fuse-0', 'fuse-1'];

/** Over io_uring each fuse actor has the requests of its own CPUs: the load is on one of fuse-1, so that fuse-0 can be paused. */
const WHERE = process.env.VEXFS_CHANNEL === 'uring' ? ['taskset', '-c', String(possibleCpus() - 1)] : [];

let mounted: Mounted;
let load: ChildProcess;
let home: string;
/** Loops of the load, in hundreds. */
const progress = (): number => Number(readFileSync(join(home, 'progress'), 'utf8'));

beforeAll(async () => {
  if (NO_FUSE) return;
  home = mkdtempSync(join(tmpdir(), 'vexfs-console-'));
  mounted = new Mounted();
  mounted.mount(['--set', 'workers.fuse=2', '--set', 'workers.io=2', '--set', 'workers.shards=2']);
  writeFileSync(join(home, 'progress'), '0');
  const [command, ...args] = [...WHERE, process.execPath, LOAD, mounted.dir, join(home, 'progress')];
  load = spawn(command!, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  await expectWork();
});
afterAll(async () => {
  if (NO_FUSE) return;
  load.kill('SIGKILL');
  mounted.dispose();
  rmSync(home, { recursive: true });
});

function consoleJson<T>(...commands: string[]): T {
  const given = commands.flatMap((command) => ['-c', command]);
  return JSON.parse(mounted.ok(['console', mounted.dir, ...given, '--json'])) as T;
}

const pause = (ms: number): Promise<void> => new Promise((resume) => setTimeout(resume, ms));

/** The mount still does what it is asked to. */
async function expectWork(): Promise<void> {
  const before = progress();
  for (let i = 0; i < 1500 && progress() === before; i++) await pause(20);
  expect(progress()).toBeGreaterThan(before);
}

interface Row {
  name: string;
  state: string;
  gate: string;
  cpu: number;
  requestsPerSecond: number;
  thread: number;
}

describe.skipIf(NO_FUSE)(titled('one command after the other', NO_FUSE), () => {
  test('actors is an array with every actor, its state and what it does', () => {
    const rows = consoleJson<Row[]>('actors');
    expect(rows.map(({ name }) => name)).toEqual(ACTORS);
    for (const row of rows) expect(row).toMatchObject({ gate: 'open', restarts: 0 });
    const fuse = rows.filter(({ name }) => name.startsWith('fuse'));
    expect(fuse.reduce((sum, { requestsPerSecond }) => sum + requestsPerSecond, 0)).toBeGreaterThan(0);
    expect(rows.some(({ cpu }) => cpu > 0)).toBe(true);
    expect(new Set(rows.map(({ thread }) => thread)).size).toBe(ACTORS.length);
  });

  /** Each command but those that end something or do not end, as it is typed; what was paused goes on. */
  const LINES = Object.keys(COMMANDS)
    .filter((name) => !['tail', 'restart', 'kill'].includes(name))
    .flatMap((name) => {
      const line = /NAME/.test(COMMANDS[name]!.usage.replace('[NAME]', '')) ? `${name} indexer` : name;
      if (name === 'log') return ['log info'];
      return name === 'pause' || name === 'step' ? [line, 'resume indexer'] : [line];
    });

  test('every command answers for people, and as JSON', () => {
    for (const line of LINES) {
      const answer = mounted.ok(['console', mounted.dir, '-c', line]);
      expect(answer.length, line).toBeGreaterThan(1);
    }
    const given = LINES.flatMap((line) => ['-c', line]);
    const answers = mounted
      .ok(['console', mounted.dir, ...given, '--json'])
      .trim()
      .split('\n');
    expect(answers).toHaveLength(LINES.length);
    for (const [i, answer] of answers.entries()) expect(JSON.parse(answer), LINES[i]!).toBeTypeOf('object');
  });

  test('tail shows messages as they are taken, only those of the kind that is asked for', () => {
    const lines = mounted
      .ok(['console', mounted.dir, '-c', 'tail io-0 SYNC -n 3', '--json'])
      .trim()
      .split('\n');
    const messages = lines.map((line) => JSON.parse(line) as { kind: string; from: string; fields: object });
    expect(messages).toHaveLength(3);
    for (const { kind, from, fields } of messages) {
      expect(kind).toBe('SYNC');
      expect(from).toMatch(/^fuse-/);
      expect(fields).toHaveProperty('unique');
    }
  });

  test('trace shows the way of an fsync and of a search through the actors, in the order of time', () => {
    type Request = { request: string; opcode: string; replied: boolean; actors: string[] };
    type Step = { us: number; actor: string; event: string; detail: string };
    const requests = consoleJson<Request[]>('trace').filter(({ replied }) => replied);
    const syncs = requests.filter(({ opcode }) => opcode === 'FSYNC');
    // One that another's commit has made durable is answered without a commit of its own. The load goes on: old ones are forgotten.
    const told = (request: string): Step[] => {
      const { code, stdout } = vexfs(['console', mounted.dir, '-c', `trace ${request}`, '--json']);
      return code === 0 ? JSON.parse(stdout) : [];
    };
    let events: Step[] = [];
    for (let i = 0; i < syncs.length && !events.some(({ event }) => event === 'durable'); i++)
      events = told(syncs[i]!.request);
    expect(events.map(({ event }) => event)).toEqual(
      expect.arrayContaining(['received', 'handed over', 'log written', 'durable', 'replied']),
    );
    expect(events.map(({ us }) => us)).toEqual(events.map(({ us }) => us).toSorted((a, b) => a - b));
    mounted.ok(['search', 'bread', '--mount', mounted.dir]);
    readdirSync(join(mounted.dir, '.vexfs/search/where the keys are'));
    const search = consoleJson<Request[]>('trace').find(
      ({ opcode, replied }) => opcode === 'LOOKUP' && replied,
    )!;
    const steps = consoleJson<Step[]>(`trace ${search.request}`);
    expect(new Set(steps.map(({ actor }) => actor).filter((actor) => !actor.startsWith('fuse')))).toEqual(
      new Set(['indexer', 'shard-0', 'shard-1']),
    );
    expect(steps.at(-1)).toMatchObject({ actor: 'indexer', event: 'replied', detail: 'ok' });
  });

  test('trace on traces requests that are answered at once, too', async () => {
    type Request = { opcode: string };
    mounted.ok(['console', mounted.dir, '-c', 'trace on']);
    await expectWork();
    const opcodes = consoleJson<Request[]>('trace').map(({ opcode }) => opcode);
    mounted.ok(['console', mounted.dir, '-c', 'trace off']);
    expect(opcodes.some((opcode) => !['FSYNC', 'LOOKUP'].includes(opcode))).toBe(true);
  });

  test('paused fuse actors stop the mount, steps let single requests through, and it goes on', async () => {
    const run = (line: string): string => mounted.ok(['console', mounted.dir, '-c', line]);
    expect(run('pause fuse-0')).toContain('fuse-0 is paused');
    await expectWork();
    run('pause fuse-1');
    const paused = consoleJson<Row[]>('actors').filter(({ gate }) => gate === 'closed');
    expect(paused.map(({ name }) => name)).toEqual(['fuse-0', 'fuse-1']);
    expect(consoleJson<object>('step fuse-1 3')).toMatchObject({ taken: 3, gate: 'closed' });
    run('resume fuse-1');
    await expectWork();
    expect(run('resume fuse-0')).toContain('fuse-0 goes on');
  });

  test('a paused indexer keeps its messages, which are shown and not taken', async () => {
    type Box = { depth: number; next: { kind: string; from: string }[] };
    mounted.ok(['console', mounted.dir, '-c', 'pause indexer']);
    await pause(200);
    const first = consoleJson<Box>('mailbox indexer 4');
    expect(first.next.map(({ kind }) => kind)).toContain('CONTENT_CHANGED');
    expect(consoleJson<Box>('mailbox indexer 4').next[0]).toEqual(first.next[0]);
    mounted.ok(['console', mounted.dir, '-c', 'resume indexer']);
    await expectWork();
  });

  test.each(['fuse-0', 'io-1', 'shard-1', 'indexer', 'pool', 'stats'])(
    '%s is restarted, and the mount goes on',
    async (name) => {
      type Supervised = Row & { incarnation: number };
      const before = consoleJson<Supervised[]>('actors').find((row) => row.name === name)!;
      expect(consoleJson<{ incarnation: number }>(`restart ${name}`).incarnation).toBe(
        before.incarnation + 1,
      );
      const after = consoleJson<Supervised[]>('actors').find((row) => row.name === name)!;
      expect(after.incarnation).toBe(before.incarnation + 1);
      expect(after.thread).not.toBe(before.thread);
      await expectWork();
    },
  );

  test.each(['fuse-1 crash', 'indexer end', 'shard-0 crash'])(
    '"kill %s" is survived, and is to be seen',
    async (drill) => {
      type Supervised = Row & { restarts: number; lastError?: string };
      const [name] = drill.split(' ');
      const row = (): Supervised => consoleJson<Supervised[]>('actors').find((one) => one.name === name)!;
      const { restarts } = row();
      mounted.ok(['console', mounted.dir, '-c', `kill ${drill}`]);
      for (let i = 0; i < 100 && !(row().restarts > restarts && ['ready', 'busy'].includes(row().state)); i++)
        await pause(100);
      expect(row().restarts).toBe(restarts + 1);
      await expectWork();
    },
  );

  test('steal shows what each shard has on the task board', async () => {
    type Worker = { actor: string; posted: number; run: number };
    const workers = (): Worker[] => consoleJson<Worker[]>('steal');
    expect(workers().map(({ actor }) => actor)).toEqual(['shard-0', 'shard-1']);
    const isAtWork = (): boolean => workers().some(({ posted, run }) => posted > 0 && run > 0);
    for (let i = 0; i < 100 && !isAtWork(); i++) await pause(100);
    expect(isAtWork()).toBe(true);
  });

  test('placement says of every actor where it is kept', () => {
    type Plan = { mode: string; actors: { actor: string; cpus: number[]; why: string }[] };
    const { mode, actors } = consoleJson<Plan>('placement');
    expect(mode).toBe('none');
    expect(actors.map(({ actor }) => actor)).toEqual(ACTORS);
    expect(actors[0]).toMatchObject({ cpus: [], why: 'wherever the scheduler likes' });
  });

  test('reload applies what is live, names what needs a new mount, and refuses a mistake with its line', () => {
    const file = join(mounted.store, 'vexfs.toml');
    const before = readFileSync(file, 'utf8');
    const reload = ['console', mounted.dir, '-c', 'reload'];
    try {
      writeFileSync(file, before.replace('\nef = 64\n', '\nef = 65\n').replace('\nm = 16\n', '\nm = 20\n'));
      expect(consoleJson<object>('reload')).toEqual({
        applied: [{ key: 'vectors.ef', from: '64', to: '65' }],
        needsRemount: [{ key: 'vectors.m', from: '16', to: '20' }],
      });
      expect(mounted.ok(reload)).toBe('vectors.m: 16 → 20, needs a new mount\n');
      writeFileSync(file, before.replace('\nef = 64\n', '\nef = 0\n'));
      const refused = vexfs(reload);
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toMatch(/vexfs\.toml:\d+:1: vectors\.ef is 0/);
    } finally {
      writeFileSync(file, before);
      mounted.ok(reload);
    }
  });

  test('a bundle holds everything, and only its owner may read it', () => {
    const { path, files } = consoleJson<{ path: string; files: string[] }>('dump');
    expect(path.startsWith(join(mounted.store, 'dumps/'))).toBe(true);
    expect(readdirSync(path).sort()).toEqual(files.toSorted());
    expect(statSync(path).mode & 0o777).toBe(0o700);
    for (const file of files) {
      expect(statSync(join(path, file)).mode & 0o777, file).toBe(0o600);
      const text = readFileSync(join(path, file), 'utf8');
      expect(text, file).not.toContain('not available');
      if (file.endsWith('.json')) JSON.parse(text);
    }
  });

  test.each([
    ['an unknown actor', 'mailbox indxer', 1, /no actor "indxer"; did you mean indexer\?/],
    ['an unknown command', 'mailbx indexer', 2, /no console command "mailbx"; did you mean mailbox\?/],
    ['an unknown kind', 'tail io-0 SINK', 1, /no kind of message "SINK"; did you mean SYNC\?/],
    ['a request nobody remembers', 'trace 1', 1, /no actor remembers the request 1/],
    ['main', 'pause main', 1, /main is what answers here/],
    ['a level that is none', 'log loud', 1, /level/],
    ['a fault that is none', 'kill io-0 gently', 1, /how/],
    ['too many words', 'actors all', 2, /it is used as: actors/],
  ] as const)('%s is told in a sentence', (_, line, code, message) => {
    const outcome = vexfs(['console', mounted.dir, '-c', line]);
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(outcome.stderr).toMatch(message);
  });

  test('lines that are piped in are run, and one that fails is told by the exit code', async () => {
    const child = spawn(process.execPath, [CLI, 'console', mounted.dir, '--json'], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.end('locks\n# a remark\n\nnonsense\nnames\nshards\n');
    let out = '';
    let error = '';
    child.stdout.on('data', (text) => {
      out += text;
    });
    child.stderr.on('data', (text) => {
      error += text;
    });
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(2);
    expect(out.trim().split('\n')).toHaveLength(2);
    expect(error).toContain('no console command "nonsense"');
  });

  test('the same is to be read in the mount, without what others typed', () => {
    const folder = join(mounted.dir, '.vexfs/actors/indexer');
    expect(readdirSync(folder).sort()).toEqual(['mailbox', 'messages', 'state', 'trace']);
    expect(JSON.parse(readFileSync(join(folder, 'messages'), 'utf8'))).toBeInstanceOf(Array);
    expect(readFileSync(join(folder, 'trace'), 'utf8')).toMatch(/^at-us\tevent\trequest\tdetail\n/);
    expect(JSON.parse(readFileSync(join(folder, 'state'), 'utf8'))).toMatchObject({ name: 'indexer' });
  });

  test('top --once prints one screen', () => {
    const text = mounted.ok(['top', mounted.dir, '--once']);
    expect(text).toMatch(/^vexfs top {2}.* serving for /);
    for (const name of ACTORS) expect(text).toContain(`\n${name} `);
    expect(text).toMatch(/\nWRITE +[\d,]+ /);
  });
});

/** A console that speaks to the socket itself, and reads or does not. */
async function rawConsole(): Promise<Socket> {
  const socket = connect(join(mounted.store, 'control.sock'));
  await once(socket, 'connect');
  return socket;
}

describe.skipIf(NO_FUSE)(titled('consoles that do not behave', NO_FUSE), () => {
  test('ten at once are all answered', async () => {
    const all = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const child = spawn(process.execPath, [
          CLI,
          'console',
          mounted.dir,
          '-c',
          'actors',
          '-c',
          'tail io-0 -n 3',
          '--json',
        ]);
        child.stdout.resume();
        const [code] = (await once(child, 'close')) as [number];
        return code;
      }),
    );
    expect(all).toEqual(new Array(10).fill(0));
  });

  test('one that asks for every message and reads none costs the mount nothing, and then learns what it missed', async () => {
    const greedy = await rawConsole();
    for (let id = 0; id < 15; id++) {
      greedy.write(`${JSON.stringify({ id, method: 'tail', params: { actor: 'indexer' } })}\n`);
    }
    let text = '';
    greedy.setEncoding('utf8').on('data', (piece: string) => {
      text = (text + piece).slice(-100_000);
    });
    const hasLost = (): boolean => /"lost":[1-9]/.test(text);
    // What the kernel keeps for the reader has to be full before anything is left out.
    for (let ms = 2000; ms < 40_000 && !hasLost(); ms *= 2) {
      greedy.pause();
      await pause(ms);
      await expectWork();
      expect(consoleJson<Row[]>('actors')).toHaveLength(ACTORS.length);
      greedy.resume();
      for (let i = 0; i < 50 && !hasLost(); i++) await pause(20);
    }
    expect(hasLost()).toBe(true);
    greedy.destroy();
    // Nobody watches any more, so nothing is copied any more.
    await pause(300);
    await expectWork();
  });
});

describe.skipIf(NO_FUSE || NO_TERMINAL)(titled('in a terminal', NO_FUSE ?? NO_TERMINAL), () =>
  testsInTerminal(() => ({ mounted, home })),
);

describe.skipIf(NO_FUSE)(titled('paused for good', NO_FUSE), () => {
  test('a mount whose fuse actors are all paused is unmounted all the same', async () => {
    const other = new Mounted();
    try {
      other.mount();
      other.ok(['console', other.dir, '-c', 'pause fuse-0']);
      other.unmount();
    } finally {
      other.dispose();
    }
  });
});
