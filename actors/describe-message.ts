/** Messages for people: the name of each kind and of what it carries. The layouts are those of messages.ts. */
import { CONTROL, CONTROL_ANSWER, STOP } from '../runtime/scheduling/actor.ts';
import * as messages from './messages.ts';

/** How a field is stored: a little-endian number, two u32 (low, high) as one, or, to the end of the message, the rest. */
type Type = 'u16' | 'u32' | 'u64' | 'f64' | 'f32s' | 'text' | 'bytes';
/** Bytes a field takes; 0 = what is left. */
const SIZES: Readonly<Record<Type, number>> = { u16: 2, u32: 4, u64: 8, f64: 8, f32s: 0, text: 0, bytes: 0 };
type Layout = readonly (readonly [name: string, type: Type])[];

const words = (...names: string[]): Layout => names.map((name) => [name, 'u32'] as const);

const RUNTIME_NAMES: Readonly<Record<number, string>> = {
  [STOP]: 'STOP',
  [CONTROL]: 'CONTROL',
  [CONTROL_ANSWER]: 'CONTROL_ANSWER',
};

const LAYOUTS: Readonly<Record<number, Layout>> = {
  [CONTROL]: [['call', 'text']],
  [CONTROL_ANSWER]: [['answer', 'text']],
  [messages.SYNC]: [['unique', 'u64'], ...words('slot')],
  [messages.SYNC_EXPECTED]: [],
  [messages.OBJECT_DIRTY]: words('object', 'bytes'),
  [messages.OBJECT_LOGGED]: words('object'),
  [messages.OBJECT_DROPPED]: words('object'),
  [messages.FLUSH]: words('ticket'),
  [messages.CHECKPOINT]: words('ticket'),
  [messages.CHECKPOINT_MADE]: words('ticket'),
  [messages.FLUSH_OBJECTS]: words('question', 'logged'),
  [messages.OBJECTS_FLUSHED]: words('question', 'errno'),
  [messages.REBUILD]: words('ticket'),
  [messages.REPLAY_SHARD]: words('shard', 'incarnation'),
  [messages.PUT_CHUNKS]: [...words('ino', 'generation'), ['batch', 'bytes']],
  [messages.PUT_VECTOR]: [
    ...words('ino', 'generation', 'collection', 'dimension', 'stamp', 'reserved'),
    ['vector', 'f32s'],
  ],
  [messages.REMOVE_VECTORS]: words('ino', 'generation', 'collection', 'stamp'),
  [messages.REMOVE_FILE]: words('ino', 'generation'),
  [messages.SEARCH]: [...words('search', 'collection', 'k', 'ef', 'dimension', 'files'), ['vector', 'f32s']],
  [messages.LOAD_SEGMENT]: [['lsn', 'f64']],
  [messages.SAVE_SEGMENT]: [['lsn', 'f64']],
  [messages.CLEAR_TEXT]: [],
  [messages.REPLAY]: [
    ['checkpointLsn', 'f64'],
    ['durableLsn', 'f64'],
    ...words('incarnation', 'lastStamp', 'route', 'reserved'),
  ],
  [messages.REPLAY_FILES]: [...words('files', 'reserved'), ['list', 'bytes']],
  [messages.REPLAY_DONE]: [],
  [messages.ROUTE_CHANGED]: words('route', 'reserved'),
  [messages.LOAD_BLOCKS]: words('checkpoint', 'reserved'),
  [messages.LOAD_VECTORS]: words('lastStamp', 'reserved'),
  [messages.HITS]: [...words('search'), ['hits', 'u16'], ['shard', 'u16'], ['found', 'bytes']],
  [messages.CONTENT_CHANGED]: words('ino'),
  [messages.QUERY_WRITE]: [
    ['unique', 'u64'],
    ...words('uid', 'gid', 'pid', 'node', 'slot', 'bytes'),
    ['position', 'f64'],
    ['text', 'text'],
  ],
  [messages.QUERY_READ]: [
    ['unique', 'u64'],
    ...words('uid', 'gid', 'pid', 'node', 'slot', 'bytes'),
    ['position', 'f64'],
  ],
  [messages.DROP_COLLECTION]: words('collection', 'reserved'),
  [messages.SETTLE]: words('ticket', 'durable'),
  [messages.SETTLED]: words('ticket', 'errno'),
  [messages.QUERY]: [
    ['unique', 'u64'],
    ...words('uid', 'gid', 'pid', 'kind', 'parentLo', 'parentHi', 'ino', 'slot', 'textBytes'),
    ['text', 'text'],
  ],
  [messages.SEGMENT_LOADED]: [['complete', 'f64']],
  [messages.VECTORS_LOADED]: [['vectors', 'f64']],
  [messages.SEGMENT_SAVED]: [['errno', 'f64']],
  [messages.TEXT_MISSING]: [...words('files', 'reserved'), ['list', 'bytes']],
  [messages.IO_DONE]: words('ticket', 'errno'),
  [messages.SHARD_REPLAYED]: words('shard', 'incarnation'),
  [messages.ROUTE_DONE]: words('route', 'shard'),
  [messages.FORGET_NAME]: [...words('parentLo', 'parentHi', 'nameBytes'), ['name', 'text']],
  [messages.FORGET_INODE]: [['node', 'u64']],
  [messages.SUMMED]: words('ino', 'generation', 'version', 'object', 'count', 'crc', 'spoils'),
  [messages.DAMAGED]: [['position', 'f64'], ...words('ino', 'object')],
  [messages.COMPRESSED]: words('ino', 'generation', 'version', 'from', 'to', 'stored'),
  [messages.REFRESH_PASSED]: words(),
  [messages.PLACED]: words('object', 'errno'),
};

/** Kinds are the only numbers that messages.ts exports beside sizes. */
const NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(RUNTIME_NAMES).map(([kind, name]) => [Number(kind), name] as const),
  ...Object.entries(messages)
    .filter(([name, value]) => typeof value === 'number' && !name.endsWith('_BYTES'))
    .map(([name, kind]) => [kind as number, name] as const),
]);

/** "SYNC"; "KIND_7" for one that is not known. */
export function kindName(kind: number): string {
  return NAMES.get(kind) ?? `KIND_${kind}`;
}

/** Every name, for completion. */
export function kindNames(): string[] {
  return [...NAMES.values()];
}

export interface DescribedMessage {
  readonly kind: string;
  /** Bytes of the payload. */
  readonly length: number;
  /** Only as far as the bytes that were copied go. */
  readonly fields: Readonly<Record<string, number | string | number[]>>;
}

/** Numbers of a vector, and bytes of anything else, that are shown. */
const NUMBERS_SHOWN = 4;
const BYTES_SHOWN = 16;

/** @param bytes the beginning of a payload of `length` bytes; it may be cut, or not what its kind says. */
export function describeMessage(kind: number, bytes: Uint8Array, length: number): DescribedMessage {
  const layout = LAYOUTS[kind] ?? [['payload', 'bytes'] as const];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const fields: Record<string, number | string | number[]> = {};
  let at = 0;
  for (const [name, type] of layout) {
    const size = SIZES[type];
    if (at + size > bytes.length) break;
    fields[name] = valueAt(view, at, type);
    at += size;
  }
  return { kind: kindName(kind), length, fields };
}

function valueAt(view: DataView, at: number, type: Type): number | string | number[] {
  const rest = new Uint8Array(view.buffer, view.byteOffset + at, view.byteLength - at);
  switch (type) {
    case 'u16':
      return view.getUint16(at, true);
    case 'u32':
      return view.getUint32(at, true);
    case 'u64':
      return view.getBigUint64(at, true).toString();
    case 'f64':
      return view.getFloat64(at, true);
    case 'f32s':
      return Array.from({ length: Math.min(NUMBERS_SHOWN, rest.length >> 2) }, (_, i) =>
        Number(view.getFloat32(at + i * 4, true).toPrecision(4)),
      );
    case 'text':
      // Cut in the middle of a character, perhaps.
      return new TextDecoder().decode(rest).replace(/\ufffd$/, '');
    case 'bytes':
      return Buffer.from(rest.subarray(0, BYTES_SHOWN)).toString('hex');
  }
}

/** The same without what a user typed, for those who may not read everything. */
export function withoutText({ kind, length, fields }: DescribedMessage): DescribedMessage {
  const { text: _text, name: _name, call: _call, answer: _answer, ...rest } = fields;
  return { kind, length, fields: rest };
}
