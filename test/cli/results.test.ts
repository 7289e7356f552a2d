import { expect, test } from 'vitest';
import { progressLine } from '../../cli/index.ts';
import type { Status } from '../../cli/protocol.ts';
import { describeStatus } from '../../cli/status.ts';
import { duration, harmless, latency, plural, table, visible, wrapped } from '../../cli/terminal.ts';

test('columns are as wide as their widest cell, colours not counted, numbers to the right', () => {
  expect(
    table(
      [
        ['NAME', 'COUNT'],
        ['\u001b[1mab\u001b[22m', '5'],
        ['größer', '12345'],
      ],
      [1],
    ),
  ).toEqual(['NAME    COUNT', '\u001b[1mab\u001b[22m          5', 'größer  12345']);
  expect(table([])).toEqual([]);
});

test('durations, latencies and counts read as a person says them', () => {
  expect([0.4, 59.9, 200, 7500, 90_000].map(duration)).toEqual([
    '0 s',
    '59 s',
    '3 min 20 s',
    '2 h 5 min',
    '1 d 1 h',
  ]);
  expect([0.5, 12.345, 999, 1500, 2_340_000].map(latency)).toEqual([
    '0.5 µs',
    '12.3 µs',
    '999 µs',
    '1.5 ms',
    '2.34 s',
  ]);
  expect([plural(1, 'file'), plural(1234, 'file')]).toEqual(['1 file', '1,234 files']);
});

test('text is broken at spaces, and inside a word only where it is wider than a line', () => {
  expect(wrapped('the quick brown fox', 10)).toEqual(['the quick', 'brown fox']);
  expect(wrapped('abcdefghij kl', 4)).toEqual(['abcd', 'efgh', 'ij', 'kl']);
  expect(wrapped('as it is', Number.POSITIVE_INFINITY)).toEqual(['as it is']);
  expect(wrapped('', 10)).toEqual([]);
});

test('the progress line shows what is left and the rate since the first report', () => {
  const first = { pending: 100, indexed: 20 };
  expect(progressLine(first, first, 0)).toBe('indexing: 100 files left');
  expect(progressLine({ pending: 1, indexed: 119 }, first, 3)).toBe('indexing: 1 file left, 33 files/s');
  expect(progressLine({ pending: 90, indexed: 30 }, first, 4)).toBe('indexing: 90 files left, 2.5 files/s');
});

test('the status for people shows the mount, its threads, and requests by how often they came', () => {
  const status: Status = {
    version: '0.1.0',
    store: '/data/store',
    directory: '/mnt/notes',
    pid: 42,
    uptimeSeconds: 200,
    state: 'serving',
    actors: [
      { name: 'main', state: 'ready', restarts: 0 },
      { name: 'fuse-0', state: 'busy', restarts: 2, lastError: 'a drill: told to crash' },
    ],
    namespace: { files: 1234, inodesUsed: 2000, inodesMax: 1_000_000 },
    memory: { slabUsed: 1024, slabHighWater: 512 * 1024 * 1024, slabBudget: 1024 ** 3 },
    storage: { durableLsn: 98_765 },
    index: { pending: 3, indexed: 1000, failed: 0, passedOver: 0, chunks: 5000 },
    fuse: {
      requests: 12,
      opcodes: {
        FORGET: { count: 0, errors: 0, p50us: 0, p99us: 0, maxus: 0 },
        GETATTR: { count: 2, errors: 0, p50us: 3, p99us: 4, maxus: 5 },
        LOOKUP: { count: 10, errors: 1, p50us: 12.5, p99us: 1500, maxus: 2000 },
      },
    },
  };
  expect(describeStatus(status)).toEqual([
    'mounted at  /mnt/notes, serving for 3 min 20 s',
    'store       /data/store',
    'process     42, vexfs 0.1.0',
    'files       2,000 of at most 1,000,000 (0.2 %), directories included',
    'memory      512 MiB of 1.00 GiB (50.0 %)',
    'index       5,000 passages; since the mount 1,000 files indexed, 3 waiting',
    'requests    12',
    'durable     to change 98,765',
    '',
    'ACTOR   STATE  RESTARTS  LAST ERROR',
    'main    ready         0',
    'fuse-0  busy          2  a drill: told to crash',
    '',
    'REQUEST  COUNT  ERRORS      P50     P99   MAX',
    'LOOKUP      10       1  12.5 µs  1.5 ms  2 ms',
    'GETATTR      2       0     3 µs    4 µs  5 µs',
  ]);
});

test('what a terminal would obey is shown instead, in a form that JSON keeps', () => {
  const name = 'a\u001b[31mred\u001b]0;title\u0007\n\u009b2J\u202egnp.md';
  const shown = 'a\\u001b[31mred\\u001b]0;title\\u0007\\n\\u009b2J\\u202egnp.md';
  expect(visible(name)).toBe(shown);
  expect(harmless(`${name}\tb`)).toBe(`${shown.replace('\\n', '\n')}\tb`);
  expect(JSON.parse(harmless(JSON.stringify([name], undefined, 2)))).toEqual([name]);
});

test('a terminal with colours keeps them, and no other order', () => {
  const stream = { isTTY: true } as NodeJS.WriteStream;
  const colours = [process.env.NO_COLOR, process.env.TERM];
  [process.env.NO_COLOR, process.env.TERM] = ['', 'xterm'];
  const line = harmless('\u001b[1mbold\u001b[22m \u001b[2J\r', stream);
  [process.env.NO_COLOR, process.env.TERM] = colours.map((value) => value ?? '') as [string, string];
  expect(line).toBe('\u001b[1mbold\u001b[22m \\u001b[2J\\r');
});
