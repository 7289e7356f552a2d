/** What the console does with what is typed, and with what is answered, without a mount. */
import { expect, test } from 'vitest';
import type { ControlClient } from '../../cli/client.ts';
import {
  COMMANDS,
  type ConsoleCommand,
  ConsoleUsage,
  findCommand,
  helpLines,
  splitWords,
} from '../../cli/console-commands.ts';
import { complete } from '../../cli/console-repl.ts';
import { showActors, showPlacement, showRows, showSteal, showTrace } from '../../cli/console-views.ts';
import type { ActorRow, TopSample } from '../../cli/protocol.ts';
import { clipped, frame, sorted } from '../../cli/top-frame.ts';

const NAMES = {
  command: [...Object.keys(COMMANDS), 'watch', 'help', 'quit'],
  actor: ['main', 'io-0', 'indexer'],
  kind: ['SYNC', 'SEARCH', 'QUERY'],
  level: ['info', 'debug'],
  fault: ['crash', 'hang'],
  switch: ['on', 'off'],
};

test.each([
  ['', NAMES.command],
  ['tr', ['trace']],
  ['pl', ['placement']],
  ['rel', ['reload']],
  ['reload ', []],
  ['mailbox ', NAMES.actor],
  ['mailbox i', ['io-0', 'indexer']],
  ['mailbox io-0 ', []],
  ['tail io-0 s', ['SYNC', 'SEARCH']],
  ['tail io-0 SYNC q', ['QUERY']],
  ['log d', ['debug']],
  ['log debug ma', ['main']],
  ['kill io-0 h', ['hang']],
  ['watch mailbox in', ['indexer']],
  ['trace o', ['on', 'off']],
  ['nonsense x', []],
])('"%s" is completed', (line, expected) => {
  const [found] = complete(line, NAMES);
  // What is the only one is followed by a space.
  expect(found).toEqual(expected.length === 1 ? [`${expected[0]} `] : expected);
});

test('words are separated by spaces, and quotes keep some together', () => {
  expect(splitWords('  tail io-0  "a b" \'c d\' "')).toEqual(['tail', 'io-0', 'a b', 'c d', '"']);
  expect(splitWords('')).toEqual([]);
});

/** What a command would call. */
function asked(line: string): unknown[] {
  const [name, ...words] = splitWords(line);
  let call: unknown[] = [];
  const client = {
    call: (...all: unknown[]) => {
      call = all.slice(0, 2);
      return Promise.resolve();
    },
  };
  void findCommand(name!).ask(client as unknown as ControlClient, words, {});
  return call;
}

test.each([
  ['actors', ['actors', {}]],
  ['mailbox io-0', ['mailbox', { actor: 'io-0' }]],
  ['mailbox io-0 3', ['mailbox', { actor: 'io-0', count: 3 }]],
  ['tail io-0', ['tail', { actor: 'io-0', kinds: [] }]],
  ['tail io-0 SYNC FLUSH -n 5', ['tail', { actor: 'io-0', kinds: ['SYNC', 'FLUSH'], count: 5 }]],
  ['trace', ['trace', {}]],
  ['reload', ['reload', {}]],
  ['placement', ['placement', {}]],
  ['trace on', ['trace', { switch: 'on' }]],
  ['trace 18446744073709551615', ['trace', { request: '18446744073709551615' }]],
  ['log debug', ['log', { level: 'debug' }]],
  ['log debug io-0', ['log', { level: 'debug', actor: 'io-0' }]],
  ['step fuse-0 2', ['step', { actor: 'fuse-0', count: 2 }]],
  ['kill io-0', ['kill', { actor: 'io-0' }]],
  ['kill io-0 hang', ['kill', { actor: 'io-0', how: 'hang' }]],
])('"%s" calls the mount so', (line, call) => {
  expect(asked(line)).toEqual(call);
});

test.each([
  'actors now',
  'reload now',
  'placement fuse-0',
  'mailbox',
  'mailbox io-0 0',
  'mailbox io-0 many',
  'mailbox io-0 1 2',
  'tail',
  'tail io-0 -n',
  'tail io-0 -n 0',
  'tail io-0 --all',
  'trace back',
  'trace 1 2',
  'log',
  'pause',
  'step io-0 -1',
  'kill',
  'kill a b c',
])('"%s" is not understood, and the usage is said', (line) => {
  expect(() => asked(line)).toThrow(ConsoleUsage);
  expect(() => asked(line)).toThrow(/it is used as: /);
});

test('an unknown command names the nearest', () => {
  expect(() => findCommand('actor')).toThrow('did you mean actors?');
  expect(() => findCommand('toString')).toThrow('there is no console command "toString"');
  expect(() => findCommand('xyzzyxyzzy')).toThrow(/^[^?]*$/);
  expect(helpLines('watch')[0]!.usage).toContain('watch');
});

test('every command has a usage that begins with its name, and an explanation', () => {
  for (const [name, { usage, about }] of Object.entries(COMMANDS) as [string, ConsoleCommand][]) {
    expect(usage.split(' ')[0]).toBe(name);
    expect(about.length).toBeGreaterThan(10);
  }
});

const ROW: ActorRow = {
  name: 'io-0',
  kind: 'io',
  state: 'ready',
  gate: 'open',
  restarts: 0,
  cpu: 12.5,
  core: 1,
  messagesPerSecond: 1234.5,
  requestsPerSecond: 0,
  waiting: 3,
  thread: 99,
  incarnation: 1,
  heartbeatAgeMs: 12,
  parked: true,
};

const SAMPLE = {
  version: '1',
  store: '/s',
  directory: '/m',
  pid: 1,
  uptimeSeconds: 65,
  state: 'serving',
  intervalMs: 1000,
  actors: [ROW, { ...ROW, name: 'fuse-0', cpu: 80, gate: 'closed' }, { ...ROW, name: 'main', waiting: 9 }],
  requests: [{ name: 'LOOKUP', perSecond: 100, errorsPerSecond: 2, p50us: 12, p99us: 1500 }],
  namespace: { files: 3, inodesUsed: 3, inodesMax: 10 },
  memory: { slabUsed: 512, slabHighWater: 1024, slabBudget: 1024 },
  index: { pending: 1, indexed: 2, failed: 0, passedOver: 0, chunks: 4, indexedPerSecond: 1.5 },
  storage: { durableLsn: 1, logBytesPerSecond: 1024, commitsPerSecond: 2, segmentBytes: 4096, errno: 0 },
  fuse: { requests: 1000, opcodes: {} },
} satisfies TopSample;

test('actors are shown with their rates, and one that is paused stands out', () => {
  const [header, io, fuse] = showActors(SAMPLE.actors);
  expect(header).toMatch(/^ACTOR +STATE +RESTARTS +CPU % +CORE +MSG\/S/);
  expect(io).toMatch(/^io-0 +ready +0 +12\.5 +1 +1,234\.5 +0 +3 +12 ms +99$/);
  expect(fuse).toContain('paused');
  expect(showRows([{ a: 1, b: 'x' }, { c: true }], 'none')).toEqual(['A  B  C', '1  x', '      true']);
  expect(showTrace([])[0]).toContain('trace on');
});

test('placement has its reasons, and each actor with its CPUs', () => {
  const lines = showPlacement({
    mode: 'auto',
    actors: [
      { actor: 'fuse-0', cpus: [0, 1, 2], node: 0, why: 'a core of its own' },
      { actor: 'stats', cpus: [], node: -1, why: 'wherever the scheduler likes' },
    ],
    notes: ['no CPU of its own is left for io-0'],
  });
  expect(lines.slice(0, 2)).toEqual(['placement.mode is "auto"', 'no CPU of its own is left for io-0']);
  expect(lines.slice(-2)[0]).toMatch(/^fuse-0 +0-2 +0 +a core of its own$/);
  expect(lines.at(-1)).toMatch(/^stats +wherever the scheduler likes$/);
});

test('stealing is shown shard by shard', () => {
  const counts = { waiting: 1, posted: 2345, run: 3, stolen: 4, givenBack: 5, takenOver: 6 };
  const [header, busy, idle] = showSteal([
    { actor: 'shard-0', isIdle: false, ...counts },
    { actor: 'shard-1', isIdle: true, ...counts },
  ]);
  expect(header).toMatch(/^SHARD +QUEUED +POSTED +DONE +STOLEN +RETURNED +TAKEN OVER$/);
  expect(busy).toMatch(/^shard-0 +1 +2,345 +3 +4 +5 +6$/);
  expect(idle).toMatch(/6 +waits for tasks$/);
});

test('a frame of top has the summary, the actors in order, the requests, and fits the terminal', () => {
  const whole = frame(SAMPLE, { columns: 200, rows: 100, sort: 'cpu', keys: '' });
  expect(whole.join('\n')).toMatch(
    /serving for 1 min 5 s[\s\S]*fuse-0 +paused[\s\S]*io-0[\s\S]*LOOKUP +100 +2 +12 µs +1\.5 ms/,
  );
  expect(sorted(SAMPLE.actors, 'waiting')[0]!.name).toBe('main');
  expect(sorted(SAMPLE.actors, 'name').map(({ name }) => name)).toEqual(['fuse-0', 'io-0', 'main']);
  for (const [columns, rows] of [
    [80, 24],
    [20, 5],
    [1, 1],
    [3, 2],
  ] as const) {
    const small = frame(SAMPLE, { columns, rows, sort: 'cpu', keys: 'q quits' });
    expect(small).toHaveLength(rows);
    for (const line of small) expect([...line].length).toBeLessThanOrEqual(columns);
    expect(small.at(-1)).toBe('q quits'.slice(0, columns));
  }
});

test('a line is cut at a character, and its colours are kept', () => {
  expect(clipped('abc', 3)).toBe('abc');
  expect(clipped('äöü€x', 3)).toBe('äöü');
  expect(clipped('\u001b[1mabcd\u001b[0m', 2)).toBe('\u001b[1mab\u001b[0m');
});
