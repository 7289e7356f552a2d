/** One screen of `vexfs top`, as lines: nothing here knows a terminal. */
import { stripVTControlCharacters } from 'node:util';
import { roundSize } from '../runtime/config/size.ts';
import { actorState } from './console-views.ts';
import type { ActorRow, TopSample } from './protocol.ts';
import { bar, duration, grouped, harmless, latency, plural, style, visible, withHeader } from './terminal.ts';

export type SortKey = 'cpu' | 'messages' | 'requests' | 'waiting' | 'name';

/** The key of the keyboard that sorts so. */
export const SORT_KEYS: Readonly<Record<string, SortKey>> = {
  c: 'cpu',
  m: 'messages',
  r: 'requests',
  w: 'waiting',
  n: 'name',
};

export interface FrameOptions {
  readonly columns: number;
  readonly rows: number;
  readonly sort: SortKey;
  /** The last line: what the keys do. '' where there are none. */
  readonly keys: string;
}

const ESCAPE = '\u001b';
const BAR_CELLS = 10;

const VALUES: Readonly<Record<Exclude<SortKey, 'name'>, (row: ActorRow) => number>> = {
  cpu: (row) => row.cpu,
  messages: (row) => row.messagesPerSecond,
  requests: (row) => row.requestsPerSecond,
  waiting: (row) => row.waiting,
};

export function sorted(actors: readonly ActorRow[], by: SortKey): ActorRow[] {
  if (by === 'name') return actors.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return actors.toSorted((a, b) => VALUES[by](b) - VALUES[by](a));
}

function whole(value: number): string {
  return grouped(Math.round(value));
}

function summary(s: TopSample): string[] {
  const requests = s.requests.reduce((sum, { perSecond }) => sum + perSecond, 0);
  const { slabUsed, slabBudget } = s.memory;
  const share = slabBudget > 0 ? slabUsed / slabBudget : 0;
  const { indexedPerSecond, pending, chunks } = s.index;
  const { logBytesPerSecond, commitsPerSecond, segmentBytes, errno } = s.storage;
  const label = (name: string): string => style('bold', name.padEnd(9));
  const state = style(s.state === 'serving' ? 'green' : 'red', s.state);
  return [
    `${style('bold', 'vexfs top')}  ${visible(s.directory)}  ${state} for ${duration(s.uptimeSeconds)}, pid ${s.pid}`,
    '',
    `${label('requests')}${whole(requests)}/s, ${grouped(s.fuse.requests)} since the mount`,
    `${label('memory')}${style('cyan', bar(share, BAR_CELLS))} ${roundSize(slabUsed)} of ${roundSize(slabBudget)}, ${plural(s.namespace.inodesUsed, 'file')}`,
    `${label('index')}${plural(chunks, 'passage')}, ${grouped(pending)} waiting, ${indexedPerSecond.toFixed(1)} files/s`,
    `${label('storage')}${commitsPerSecond.toFixed(1)} commits/s, ${roundSize(Math.round(logBytesPerSecond))}/s to the log (segment ${roundSize(segmentBytes)})${errno === 0 ? '' : style('red', `, failed with errno ${errno}`)}`,
  ];
}

function actorTable(actors: readonly ActorRow[]): string[] {
  const rows = actors.map((row) => [
    row.name,
    actorState(row),
    `${row.cpu.toFixed(1)} ${style('green', bar(row.cpu / 100, BAR_CELLS))}`,
    row.core < 0 ? '' : String(row.core),
    whole(row.messagesPerSecond),
    whole(row.requestsPerSecond),
    grouped(row.waiting),
    grouped(row.restarts),
  ]);
  const header = [
    'ACTOR',
    'STATE',
    `CPU %${' '.repeat(BAR_CELLS + 1)}`,
    'CORE',
    'MSG/S',
    'REQ/S',
    'WAITING',
    'RESTARTS',
  ];
  return withHeader(header, rows, [2, 3, 4, 5, 6, 7]);
}

function requestTable(requests: TopSample['requests']): string[] {
  const rows = requests.map(({ name, perSecond, errorsPerSecond, p50us, p99us }) => [
    name,
    whole(perSecond),
    errorsPerSecond === 0 ? '' : whole(errorsPerSecond),
    latency(p50us),
    latency(p99us),
  ]);
  return withHeader(['REQUEST', 'PER S', 'ERRORS', 'P50', 'P99'], rows, [1, 2, 3, 4]);
}

/** At most `rows` lines of at most `columns` characters. Actors come first; requests get what is left. */
export function frame(sample: TopSample, options: FrameOptions): string[] {
  const { columns, rows, sort, keys } = options;
  const lines = [...summary(sample), '', ...actorTable(sorted(sample.actors, sort)), ''];
  if (sample.requests.length > 0) lines.push(...requestTable(sample.requests));
  else lines.push(style('dim', 'no requests'));
  const room = keys === '' ? rows : rows - 1;
  const shown = lines.slice(0, Math.max(0, room));
  if (keys !== '' && rows > 0) {
    while (shown.length < room) shown.push('');
    shown.push(style('dim', keys));
  }
  return shown.map((line) => clipped(harmless(line), columns));
}

/** The first `columns` characters, with the colours they have. */
export function clipped(line: string, columns: number): string {
  if ([...stripVTControlCharacters(line)].length <= columns) return line;
  let left = columns;
  let text = '';
  let isColour = false;
  for (const character of line) {
    if (character === ESCAPE) isColour = true;
    if (isColour || left-- > 0) text += character;
    if (character === 'm') isColour = false;
  }
  return text;
}
