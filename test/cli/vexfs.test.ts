import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { NO_FUSE, titled } from '../e2e/mounted.ts';

const PROGRAM = fileURLToPath(new URL('../../cli/vexfs.js', import.meta.url));
const PACKAGE = new URL('../../../package.json', import.meta.url);

const directory = mkdtempSync(join(tmpdir(), 'vexfs-cli-'));
afterAll(() => rmSync(directory, { recursive: true }));

function vexfs(...args: string[]): { code: number | null; out: string; error: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], {
    cwd: directory,
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '', HOME: directory },
  });
  return { code: status, out: stdout, error: stderr };
}

test('--version prints the version of the package', () => {
  const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string };
  expect(vexfs('--version')).toEqual({ code: 0, out: `${version}\n`, error: '' });
});

/** `npm run build` makes it; the compiler alone leaves the one before. */
test(
  titled('what is installed mounts, indexes, makes a checkpoint, finds and unmounts', NO_FUSE),
  (context) => {
    if (NO_FUSE) context.skip();
    const { bin } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { bin: Record<string, string> };
    const installed = (...args: string[]): string => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [fileURLToPath(new URL(bin.vexfs!, PACKAGE)), ...args],
        { cwd: directory, encoding: 'utf8', timeout: 60_000 },
      );
      expect({ args, status, stderr }).toMatchObject({ args, status: 0 });
      return stdout;
    };
    mkdirSync(join(directory, 'mnt'));
    installed('mount', 'store', 'mnt');
    try {
      writeFileSync(join(directory, 'mnt/otters.md'), 'Otters float on their backs while they sleep.\n');
      installed('index', 'wait', 'mnt');
      const found = JSON.parse(installed('search', 'otters asleep', '-m', 'mnt', '--json')) as object[];
      expect(found).toMatchObject([{ path: expect.stringContaining('otters.md') }]);
      expect(JSON.parse(installed('checkpoint', 'mnt', '--json'))).toMatchObject({ lsn: expect.any(Number) });
    } finally {
      installed('umount', 'mnt');
    }
  },
);

test('every command explains itself on stdout', () => {
  const overview = vexfs('--help');
  expect(overview.code).toBe(0);
  expect(overview.error).toBe('');
  for (const command of [
    'mount',
    'umount',
    'status',
    'search',
    'similar',
    'index',
    'vector',
    'console',
    'top',
    'config',
    'doctor',
  ]) {
    expect(overview.out).toContain(`\n  ${command}`);
    const help = vexfs(command, '--help');
    expect(help).toMatchObject({ code: 0, error: '' });
    expect(help.out, command).toMatch(/^Usage: vexfs /);
    expect(help.out.length, command).toBeGreaterThan(200);
  }
});

test.each([
  ['no command', [], /^Usage: vexfs/],
  ['an unknown command', ['serch'], /^vexfs: unknown command 'serch'\n\(Did you mean search\?\)/],
  ['an unknown option', ['status', '--jason'], /^vexfs: unknown option '--jason'\n\(Did you mean --json\?\)/],
  ['a missing argument', ['mount', 'store'], /^vexfs: missing required argument 'dir'/],
  ['an argument too many', ['umount', 'a', 'b'], /^vexfs: too many arguments/],
  ['k = 0', ['search', 'x', '-k', '0'], /It must be a whole number from 1 to 1000/],
  ['k = 1e9', ['similar', 'x', '-k', '1000000000'], /It must be a whole number from 1 to 1000/],
  ['a time-out that is no number', ['index', 'wait', '-t', 'soon'], /It must be a number of seconds/],
  ['vector set without a vector', ['vector', 'set', 'f'], /^vexfs: say where the vector is/],
  [
    'vector search for two things',
    ['vector', 'search', 'q.npy', '--like', 'f'],
    /^vexfs: say what to look for/,
  ],
] as const)('%s is a usage error: exit code 2, and nothing on stdout', (_, args, message) => {
  const { code, out, error } = vexfs(...args);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(error).toMatch(message);
});

test('an empty query and one that is too long fail with one sentence', () => {
  expect(vexfs('search', '  ')).toMatchObject({ code: 1, out: '' });
  expect(vexfs('search', '').error).toMatch(/^vexfs: the query is empty; .*\n$/);
  const long = vexfs('search', 'a'.repeat(100_000));
  expect(long.code).toBe(1);
  expect(long.error).toBe('vexfs: the query is 100,000 bytes long, at most 8,192 are allowed\n');
});

test('a directory that is in no mount is reported with one sentence', () => {
  for (const args of [
    ['status', directory],
    ['search', 'x', '-m', directory],
    ['index', 'wait', directory],
  ]) {
    const { code, out, error } = vexfs(...args);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    // Which one depends on whether another test has something mounted.
    expect(error).toMatch(/^vexfs: (no VexFS is mounted; .*|\S* is not in a VexFS mount; mounted: .*)\n$/);
  }
});

test('umount of what is not mounted fails with one sentence', () => {
  expect(vexfs('umount', directory)).toEqual({
    code: 1,
    out: '',
    error: `vexfs: nothing is mounted at ${directory}\n`,
  });
  expect(vexfs('umount', join(directory, 'missing')).code).toBe(1);
});

test('a vector with NaN is refused before anything is touched', () => {
  writeFileSync(join(directory, 'v.json'), '[1, null]');
  const { code, error } = vexfs('vector', 'set', 'f', '--json', 'v.json');
  expect(code).toBe(1);
  expect(error).toMatch(/^vexfs: element 1 of the vector in v\.json is null; .*\n$/);
});

test('config print, check and schema work together', () => {
  const file = join(directory, 'vexfs.toml');
  const printed = vexfs('config', 'print', '--set', 'workers.fuse=5');
  expect(printed).toMatchObject({ code: 0, error: '' });
  writeFileSync(file, printed.out);
  expect(vexfs('config', 'check')).toEqual({ code: 0, out: 'vexfs.toml: no problems\n', error: '' });
  expect(JSON.parse(vexfs('config', 'print', directory, '--json').out)).toMatchObject({
    workers: { fuse: 5 },
    store: { inline_limit: 16_384 },
  });
  expect(JSON.parse(vexfs('config', 'schema').out)).toHaveProperty('properties.workers');

  writeFileSync(file, '[workers]\nfuze = 2\nio = 0\n');
  const checked = vexfs('config', 'check', file);
  expect(checked).toMatchObject({ code: 1, out: '' });
  expect(checked.error.split('\n')).toEqual([
    `vexfs: ${file}:2:1: unknown key "workers.fuze"; did you mean "workers.fuse"?`,
    `vexfs: ${file}:3:1: workers.io is 0; it must be a whole number from 1 to 64`,
    'vexfs: 2 problems',
    '',
  ]);
  const json = vexfs('config', 'check', file, '--json');
  expect(json.code).toBe(1);
  expect(JSON.parse(json.out)).toMatchObject({
    ok: false,
    problems: [
      { line: 2, key: 'workers.fuze', nearest: 'workers.fuse' },
      { line: 3, key: 'workers.io' },
    ],
  });
  rmSync(file);
  expect(vexfs('config', 'check', 'missing.toml').error).toMatch(
    /^vexfs: the configuration file missing\.toml does not exist/,
  );
});

test('doctor lists its findings, and its exit code says whether one of them failed', () => {
  const { code, out } = vexfs('doctor', '--json');
  const findings = JSON.parse(out) as { check: string; state: string; advice?: string }[];
  expect(findings.map(({ check }) => check)).toContain('/dev/fuse');
  expect(findings.find(({ check }) => check === 'system calls')?.state).toBe('ok');
  for (const { state, advice } of findings) if (state !== 'ok') expect(advice).toBeTruthy();
  expect(code).toBe(findings.some(({ state }) => state === 'failed') ? 1 : 0);
});
