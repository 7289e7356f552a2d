import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GIB, KIB, MIB } from '../../runtime/config/bounds.ts';
import { describeProblem, loadConfig, parseConfig, requireConfig } from '../../runtime/config/load.ts';
import { UserError } from '../../runtime/user-error.ts';

function problemsOf(text: string, set: string[] = [], environment: Record<string, string> = {}): string[] {
  const { problems } = parseConfig({ file: { name: 'vexfs.toml', text }, set, environment });
  return problems.map(describeProblem);
}

test('nothing given yields the defaults, sizes in bytes', () => {
  const { config } = parseConfig({});
  expect(config).toEqual({
    placement: { mode: 'none', pin: {} },
    workers: { fuse: 1, shards: 2, io: 1, tasks: 1, fuse_max: 0, shards_max: 0, steal: true },
    memory: { budget: GIB, max_files: 1_000_000, max_results: 4096, trim: true, debug: false },
    store: {
      commit_interval_ms: 1000,
      inline_limit: 16 * KIB,
      log_segment: 64 * MIB,
      checkpoint_bytes: 256 * MIB,
      checkpoint_interval_s: 3600,
      compress: 'off',
      compress_after_s: 604_800,
      compress_max: GIB,
      compress_cache: 4 * MIB,
      checksum_after_s: 600,
      scrub_s: 604_800,
      journal_buffer: 32 * MIB,
    },
    fuse: {
      channel: 'auto',
      enable_uring: false,
      spin_us: 100,
      keep_awake: true,
      read_ahead: MIB,
      background: 64,
      open_files: 256,
      passthrough: 'off',
      writeback: false,
      atime: 'relatime',
      acl: true,
      entry_timeout_s: 31_536_000,
      attr_timeout_s: 31_536_000,
    },
    vectors: {
      collections: [],
      engine: 'native',
      m: 16,
      ef_construction: 100,
      ef: 64,
      exact_max: 10_000,
      graph_memory: 4 * GIB,
      recall: 0,
      rerank: 'memory',
      shared: 256 * MIB,
    },
    index: {
      enabled: true,
      settle_ms: 300,
      max_file_size: 16 * MIB,
      max_chunks: 512,
      results: 20,
      task_timeout_s: 60,
      exclude: ['.git', 'node_modules/.cache'],
    },
    supervision: {
      heartbeat_ms: 250,
      hang_ms: 10_000,
      restarts: 5,
      window_s: 60,
      request_deadline_s: 60,
      heap_mib: 0,
    },
    log: { level: 'info' },
  });
});

test('the file beats the default, the environment beats the file, --set beats the environment', () => {
  const { config } = parseConfig({
    file: { name: 'f', text: 'placement = "auto"\n[workers]\nfuse = 3\nio = 3\ntasks = 3\n' },
    environment: { VEXFS_WORKERS_IO: '4', VEXFS_WORKERS_TASKS: '4', VEXFS_MEMORY_MAX_FILES: '5000' },
    set: ['workers.tasks=5', 'log.level=debug', 'memory.budget=64MiB', 'fuse.writeback=true'],
  });
  expect(config?.placement).toEqual({ mode: 'auto', pin: {} });
  expect(config?.workers).toMatchObject({ fuse: 3, shards: 2, io: 4, tasks: 5 });
  expect(config?.memory).toMatchObject({ budget: 64 * MIB, max_files: 5000 });
  expect(config?.log.level).toBe('debug');
  expect(config?.fuse.writeback).toBe(true);
});

test('placement is a word or a section, wherever it is given', () => {
  const placed = (text: string, set: string[] = [], environment: Record<string, string> = {}) =>
    parseConfig({ file: { name: 'f', text }, set, environment }).config?.placement;
  expect(placed('placement = "auto"')).toEqual({ mode: 'auto', pin: {} });
  expect(placed('', ['placement=auto'])).toEqual({ mode: 'auto', pin: {} });
  expect(placed('', [], { VEXFS_PLACEMENT: 'auto' })).toEqual({ mode: 'auto', pin: {} });
  expect(placed('[placement]\nmode = "auto"\npin = { "fuse-0" = 0, "shard-*" = "2-4,7" }')).toEqual({
    mode: 'auto',
    pin: { 'fuse-0': [0], 'shard-*': [2, 3, 4, 7] },
  });
  expect(placed('placement.pin.io-0 = "1"')).toEqual({ mode: 'none', pin: { 'io-0': [1] } });
  expect(placed('placement = "auto"', ['placement.pin={ io-0 = 1 }'])).toEqual({
    mode: 'auto',
    pin: { 'io-0': [1] },
  });
  expect(placed('placement = "auto"', ['placement.mode=none'])?.mode).toBe('none');
  expect(
    placed('placement.pin.io-0 = 1', ['placement.pin.shard-*=0-1', 'placement.pin.io-0=2'])?.pin,
  ).toEqual({
    'io-0': [2],
    'shard-*': [0, 1],
  });
});

test('a list is set as TOML or with commas', () => {
  for (const set of ['index.exclude=a,b/c', 'index.exclude=["a", "b/c"]']) {
    expect(parseConfig({ set: [set] }).config?.index.exclude).toEqual(['a', 'b/c']);
  }
  expect(parseConfig({ set: ['index.exclude='] }).config?.index.exclude).toEqual([]);
});

test('an unknown key is reported where it stands, with the nearest valid one', () => {
  expect(problemsOf('[workers]\n# threads\nfuze = 2\n')).toEqual([
    'vexfs.toml:3:1: unknown key "workers.fuze"; did you mean "workers.fuse"?',
  ]);
  expect(problemsOf('[wrokers]\nfuse = 2\n')).toEqual([
    'vexfs.toml:1:1: unknown key "wrokers"; did you mean "workers"?',
  ]);
  expect(problemsOf('inline_limit = 1\n')).toEqual([
    'vexfs.toml:1:1: unknown key "inline_limit"; did you mean "store.inline_limit"?',
  ]);
  expect(problemsOf('', ['store.inline=1'])).toEqual([
    '--set: unknown key "store.inline"; did you mean "store.inline_limit"?',
  ]);
});

test('a key in quotes with a dot in it is told apart from the key itself', () => {
  expect(problemsOf('"workers.fuse" = 2')).toEqual([
    'vexfs.toml:1:1: "workers.fuse" in quotes is a single name: leave the quotes out',
  ]);
  expect(problemsOf('[workers]\n"f\\u0075ze" = 2')).toEqual([
    'vexfs.toml:2:1: unknown key "workers.fuze"; did you mean "workers.fuse"?',
  ]);
});

test('a slip in an environment variable is reported, a variable of somebody else is not', () => {
  expect(problemsOf('', [], { VEXFS_WORKERS_FUZE: '1' })).toEqual([
    'environment: unknown environment variable VEXFS_WORKERS_FUZE; did you mean "VEXFS_WORKERS_FUSE"?',
  ]);
  expect(problemsOf('', [], { VEXFS_TEST_SEED: '1', PATH: '/bin' })).toEqual([]);
});

test.each([
  [
    'workers.fuse',
    '[workers]\nfuse = 0',
    'vexfs.toml:2:1: workers.fuse is 0; it must be a whole number from 1 to 64',
  ],
  [
    'workers.fuse',
    '[workers]\nfuse = -1',
    'vexfs.toml:2:1: workers.fuse is -1; it must be a whole number from 1 to 64',
  ],
  [
    'workers.io',
    'workers.io = 1_000_000_000',
    'vexfs.toml:1:1: workers.io is 1000000000; it must be a whole number from 1 to 64',
  ],
  [
    'workers.io',
    'workers.io = 99999999999999999999',
    'vexfs.toml:1:1: workers.io is 99999999999999999999; it must be a whole number from 1 to 64',
  ],
  [
    'workers.io',
    'workers.io = 1.5',
    'vexfs.toml:1:1: workers.io is 1.5; it must be a whole number from 1 to 64',
  ],
  [
    'workers.io',
    'workers.io = "two"',
    'vexfs.toml:1:1: workers.io is "two"; it must be a whole number from 1 to 64',
  ],
  [
    'memory.budget',
    '[memory]\nbudget = "1KiB"',
    'vexfs.toml:2:1: memory.budget is "1KiB"; it must be a size from 16MiB to 4GiB, such as "16KiB", "64MiB" or a number of bytes',
  ],
  [
    'memory.budget',
    '[memory]\nbudget = "1GB"',
    'vexfs.toml:2:1: memory.budget is "1GB"; it must be a size from 16MiB to 4GiB, such as "16KiB", "64MiB" or a number of bytes',
  ],
  [
    'store.journal_buffer',
    'store.journal_buffer = 1000',
    'vexfs.toml:1:1: store.journal_buffer is 1000; it must be a size from 1MiB to 1GiB, such as "16KiB", "64MiB" or a number of bytes',
  ],
  [
    'store.inline_limit',
    'store = { inline_limit = "2MiB" }',
    'vexfs.toml:1:11: store.inline_limit is "2MiB"; it must be a size from 0 to 64KiB, such as "16KiB", "64MiB" or a number of bytes',
  ],
  ['fuse.writeback', 'fuse.writeback = 1', 'vexfs.toml:1:1: fuse.writeback is 1; it must be true or false'],
  [
    'vectors.engine',
    'vectors.engine = "fast"',
    'vexfs.toml:1:1: vectors.engine is "fast"; it must be one of "native", "hnswlib-wasm", "exact"',
  ],
  [
    'placement.mode',
    'placement = "all"',
    'vexfs.toml:1:1: placement.mode is "all"; it must be one of "none", "auto"',
  ],
  [
    'placement.pin',
    '[placement]\npin = { "fuse-0" = 0, "shard-0" = "2-" }',
    'vexfs.toml:2:23: placement.pin is {"fuse-0":0,"shard-0":"2-"}; it must be a table of threads and CPUs, such as { "fuse-0" = 0, "shard-*" = "2-5" }',
  ],
  [
    'placement.pin',
    '[placement.pin]\n"shard 0" = 1',
    'vexfs.toml:2:1: placement.pin is {"shard 0":1}; it must be a table of threads and CPUs, such as { "fuse-0" = 0, "shard-*" = "2-5" }',
  ],
  [
    'placement',
    'placement = [1]',
    'vexfs.toml:1:1: placement is [1]; it must be a section, with its keys on the lines below',
  ],
  [
    'workers.io',
    'workers.io = nan',
    'vexfs.toml:1:1: workers.io is nan; it must be a whole number from 1 to 64',
  ],
  [
    'workers.io',
    'workers.io = -inf',
    'vexfs.toml:1:1: workers.io is -inf; it must be a whole number from 1 to 64',
  ],
  [
    'workers.io',
    'workers.io = 2024-01-01',
    'vexfs.toml:1:1: workers.io is 2024-01-01; it must be a whole number from 1 to 64',
  ],
  [
    'memory.budget',
    'memory.budget = -1',
    'vexfs.toml:1:1: memory.budget is -1; it must be a size from 16MiB to 4GiB, such as "16KiB", "64MiB" or a number of bytes',
  ],
  [
    'memory.budget',
    'memory.budget = nan',
    'vexfs.toml:1:1: memory.budget is nan; it must be a size from 16MiB to 4GiB, such as "16KiB", "64MiB" or a number of bytes',
  ],
  [
    'workers',
    '[[workers]]\nio = 1',
    'vexfs.toml:1:1: workers is [{"io":1}]; it must be a section, with its keys on the lines below',
  ],
  [
    'index.exclude',
    'index.exclude = [\n  "a",\n  99999999999999999999,\n]',
    'vexfs.toml:1:1: index.exclude is ["a",99999999999999999999]; it must be a list of texts, such as [".git"]',
  ],
  [
    'index.exclude',
    '[index]\nexclude = ["ok", "/tmp/"]',
    'vexfs.toml:2:1: index.exclude has "/tmp/", which nothing matches: paths begin below the mount, so write "tmp"',
  ],
  [
    'index.exclude',
    'index.exclude = ["a", 3]',
    'vexfs.toml:1:1: index.exclude is ["a",3]; it must be a list of texts, such as [".git"]',
  ],
  [
    'workers',
    'workers = 3',
    'vexfs.toml:1:1: workers is 3; it must be a section, with its keys on the lines below',
  ],
  [
    'vectors.ef_construction',
    '[vectors]\nm = 64\nef_construction = 10',
    'vexfs.toml:3:1: vectors.ef_construction (10) must be at least vectors.m (64)',
  ],
])('a bad value of %s is reported with its line, the value and what is allowed', (key, text, message) => {
  expect(problemsOf(text)).toEqual([message]);
  expect(parseConfig({ file: { name: 'f', text } }).problems[0]?.key).toBe(key);
});

test.each([
  [
    '[supervision]\nheartbeat_ms = 1000\nhang_ms = 3000',
    'vexfs.toml:3:1: supervision.hang_ms (3000) must be at least 4 times supervision.heartbeat_ms (1000)',
  ],
  [
    '[supervision]\nrequest_deadline_s = 5',
    'vexfs.toml:2:1: supervision.request_deadline_s (5) must be at least as long as supervision.hang_ms (10000): a request would be given up before the thread it waits for is started again',
  ],
])('times of supervision that contradict each other are reported', (text, message) => {
  expect(problemsOf(text)).toEqual([message]);
});

test('a bad override names its source', () => {
  expect(problemsOf('[workers]\nfuse = 2', ['workers.fuse=none'])).toEqual([
    '--set: workers.fuse is "none"; it must be a whole number from 1 to 64',
  ]);
  expect(problemsOf('', [], { VEXFS_WORKERS_FUSE: '0' })).toEqual([
    'VEXFS_WORKERS_FUSE: workers.fuse is 0; it must be a whole number from 1 to 64',
  ]);
  expect(problemsOf('', ['workers.fuse'])).toEqual([
    '--set: "workers.fuse" is not key=value, such as workers.fuse=4',
  ]);
});

test('an override of a key in what is not a section leaves the report to the file', () => {
  expect(problemsOf('workers = 3', ['workers.fuse=2'])).toHaveLength(1);
});

test('all problems are reported at once, in the order of the lines', () => {
  const lines = problemsOf('[workers]\nfuse = 0\nfoo = 1\nio = 0\n[nonsense]\n');
  expect(lines.map((line) => line.split(':')[1])).toEqual(['2', '3', '4', '5']);
});

test('text that is not TOML is reported with line and column', () => {
  expect(problemsOf('[workers]\nfuse = = 2\n')[0]).toMatch(/^vexfs\.toml:2:\d+: not valid TOML: /);
  expect(problemsOf('[workers]\nfuse = 2\nfuse = 3\n')[0]).toMatch(/^vexfs\.toml:3:\d+: not valid TOML: /);
  expect(problemsOf('__proto__ = 1\n')).toHaveLength(1);
});

test('a file that never ends is refused', () => {
  expect(() => loadConfig({ file: '/dev/zero' })).toThrow(/is larger than 1 MiB/);
});

test('a missing --config file is an error, a missing file of the store is not', () => {
  const directory = mkdtempSync(join(tmpdir(), 'vexfs-config-'));
  try {
    const file = join(directory, 'vexfs.toml');
    expect(() => loadConfig({ file })).toThrow(UserError);
    expect(() => loadConfig({ file: directory })).toThrow(/is a directory/);
    expect(loadConfig({ fallback: file }).config?.workers.fuse).toBe(1);
    writeFileSync(file, 'workers.fuse = 7');
    expect(requireConfig({ fallback: file }).workers.fuse).toBe(7);
    writeFileSync(file, 'workers.fuse = 70');
    expect(() => requireConfig({ file })).toThrow(/vexfs\.toml:1:1: workers\.fuse is 70/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a transport that is not offered is refused with the reason', () => {
  for (const text of ['transport = "fuse-native"', '[fuse]\ntransport = "fuse-native"'])
    expect(parseConfig({ file: { name: 'vexfs.toml', text } }).problems.map(describeProblem)).toEqual([
      expect.stringContaining('fuse-native was tried and cannot carry what VexFS promises'),
    ]);
});
