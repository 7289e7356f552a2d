/** Operations on a namespace, generated so that many of them meet at the same few nodes. */
import fc from 'fast-check';
import * as C from '../../fuse/namespace/changes.ts';
import { ACCESS, DEFAULT } from './list-model.ts';
import type { Effect, Kind } from './model-node.ts';
import { INLINE_LIMIT } from './world.ts';

const name = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.constantFrom('a', 'b', 'twenty-four-byte-long-na', 'twenty-five-byte-long-nam'),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('ä'.repeat(60), 'x'.repeat(255), 'y'.repeat(256), '', '.', '..', 'a/b', 'n\0'),
  },
);
/** Picks a node. Small numbers are old ones, so that sequences come back to the same places: see `Run`. */
const node = fc.oneof(
  { weight: 3, arbitrary: fc.nat({ max: 4 }) },
  { weight: 1, arbitrary: fc.nat({ max: 40 }) },
);
const directory = fc.oneof({ weight: 3, arbitrary: fc.nat({ max: 2 }) }, { weight: 1, arbitrary: node });
const file = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(3, 4) }, { weight: 1, arbitrary: node });
const permissions = fc.constantFrom(0o644, 0o755, 0o2755, 0o2775, 0o4711, 0o6777, 0o600);
const owner = fc.constantFrom(0, 1000, 2000);
const time = fc.record({
  seconds: fc.constantFrom(-1e10, -1, 0, 1, 4294967296, 1e10),
  nanoseconds: fc.constantFrom(0, 1, 999_999_999),
});
const length = fc.oneof(
  fc.nat({ max: 300 }),
  fc.constantFrom(0, INLINE_LIMIT - 1, INLINE_LIMIT, INLINE_LIMIT + 1, 70_000),
);
const vector = fc.constantFrom(
  [1, 2],
  [3, 4],
  [0, -0],
  [1, Number.NaN],
  [1, 2, 3],
  [-0.5, 1e-45],
  [Infinity, 1],
);
const xattrName = fc.constantFrom(
  'user.a',
  'user.a',
  'user.b',
  'user.b',
  'user.longer',
  'security.capability',
  'user.vexfs.vector',
  'user.vexfs.vector.x',
  ACCESS,
  ACCESS,
  DEFAULT,
  DEFAULT,
  'user.vexfs.vector.bad/name',
  'user.vexfs.vector.',
  'user.vexfs.vectors',
  '',
  `user.${'n'.repeat(251)}`,
);
/** Access control lists, as tag, permissions and id of each entry; the last two are none. */
const list = fc
  .constantFrom(
    [1, 7, -1, 4, 5, -1, 32, 1, -1],
    [1, 6, -1, 4, 4, -1, 16, 2, -1, 32, 0, -1],
    [1, 7, -1, 2, 7, 1000, 4, 0, -1, 8, 5, 2000, 16, 6, -1, 32, 4, -1],
    [1, 7, -1, 2, 7, 1000, 4, 0, -1, 32, 4, -1],
    [4, 5, -1, 1, 7, -1, 32, 1, -1],
  )
  .map((numbers) => ({ list: numbers }));
/** Floats, a list, or that many bytes. */
const xattrValue = fc.oneof(vector, list, fc.nat({ max: 400 }), fc.constantFrom(65_536, 65_537, 60_000));

export function valueBytes(value: readonly number[] | number | { readonly list: readonly number[] }): Buffer {
  if (typeof value === 'object' && 'list' in value) {
    const bytes = Buffer.alloc(4 + (value.list.length / 3) * 8);
    bytes.writeUInt32LE(2);
    for (let i = 0; i < value.list.length; i += 3) {
      bytes.writeUInt16LE(value.list[i]!, 4 + (i / 3) * 8);
      bytes.writeUInt16LE(value.list[i + 1]!, 6 + (i / 3) * 8);
      bytes.writeInt32LE(value.list[i + 2]!, 8 + (i / 3) * 8);
    }
    return bytes;
  }
  return typeof value === 'number'
    ? Buffer.alloc(value, value)
    : Buffer.from(Float32Array.from(value).buffer);
}
const flags = fc.constantFrom(0, 0, 1, 2, 2, 3, 4);

const effect = fc.record({ kill: fc.boolean(), keepTimes: fc.boolean() });

export function flagsOf({ kill, keepTimes }: Effect): number {
  return (kill ? C.KILL_SUIDGID : 0) | (keepTimes ? C.KEEP_TIMES : 0);
}

export const operation = fc.oneof(
  fc.record({
    op: fc.constant('create' as const),
    node: directory,
    name,
    kind: fc.constantFrom<Kind>('file', 'file', 'directory', 'directory', 'fifo'),
    permissions,
    uid: owner,
    gid: owner,
  }),
  fc.record({
    op: fc.constant('create' as const),
    node: directory,
    name,
    kind: fc.constantFrom<Kind>('file', 'directory'),
    permissions,
    uid: owner,
    gid: owner,
  }),
  fc.record({
    op: fc.constant('symlink' as const),
    node: directory,
    name,
    target: fc.constantFrom('t', '/a/b', 'x'.repeat(100), 'y'.repeat(4095), 'z'.repeat(4096), ''),
  }),
  fc.record({ op: fc.constant('link' as const), node, name, other: directory }),
  fc.record({ op: fc.constant('remove' as const), node: directory, name, directory: fc.boolean() }),
  fc.record({ op: fc.constant('remove' as const), node: directory, name, directory: fc.boolean() }),
  fc.record({
    op: fc.constant('rename' as const),
    node: directory,
    name,
    other: directory,
    newName: name,
    flags,
  }),
  fc.record({
    op: fc.constant('rename' as const),
    node: directory,
    name,
    other: directory,
    newName: name,
    flags: fc.constant(0),
  }),
  fc.record({
    op: fc.constant('setattr' as const),
    node,
    mode: permissions,
    uid: owner,
    gid: owner,
    atime: time,
    mtime: time,
    ctime: time,
    valid: fc.nat({ max: 127 }),
  }),
  fc.record({ op: fc.constant('truncate' as const), node: file, length, effect }),
  fc.record({
    op: fc.constant('write' as const),
    node: file,
    offset: length,
    length,
    fill: fc.nat({ max: 255 }),
    effect,
  }),
  fc.record({ op: fc.constant('attach' as const), node: file, length }),
  fc.record({ op: fc.constant('wrote' as const), node: file, length }),
  fc.record({ op: fc.constant('setxattr' as const), node: file, name: xattrName, value: xattrValue, flags }),
  fc.record({
    op: fc.constant('setxattr' as const),
    node,
    name: fc.constantFrom(ACCESS, DEFAULT),
    value: list,
    flags: fc.constant(0),
  }),
  fc.record({ op: fc.constant('removexattr' as const), node: file, name: xattrName }),
  fc.record({
    op: fc.constant('unnamed' as const),
    node: directory,
    permissions,
    linkable: fc.boolean(),
  }),
  fc.record({
    op: fc.constant('whiteout' as const),
    node: directory,
    name,
    other: directory,
    newName: name,
    flags: fc.constantFrom(0, 0, 1),
  }),
  fc.record({
    op: fc.constant('flags' as const),
    node,
    // Mostly none, so that things go on happening.
    flags: fc.constantFrom(0, 0, 0, 0, 0x10, 0x20, 0x40, 0xc0),
  }),
  fc.record({ op: fc.constant('accessed' as const), node }),
  fc.record({ op: fc.constant('addLookup' as const), node, n: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ op: fc.constant('forget' as const), node }),
  fc.record({ op: fc.constant('lookup' as const), node: directory, name }),
);
export type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;
