/**
 * The read-only attributes user.vexfs.*, computed from what the index knows of a file. They are reached by name and not
 * listed, so that `cp -a` and `rsync -X` do not try to copy what cannot be set.
 */
import { IndexState } from '../namespace/namespace.ts';
import { S_IFMT, S_IFREG } from '../protocol/abi.ts';
import type { Context } from './context.ts';

interface Computed {
  readonly name: Uint8Array;
  readonly value: (context: Context, state: IndexState) => string | undefined;
}

const isPending = (state: IndexState) => state.version !== state.indexedVersion;
const isIndexed = (state: IndexState) => !isPending(state) && state.chunks > 0;

const COMPUTED: readonly Computed[] = [
  {
    name: Buffer.from('user.vexfs.indexed'),
    value: (_context, state) => (isPending(state) ? 'pending' : state.chunks > 0 ? 'yes' : 'no'),
  },
  {
    name: Buffer.from('user.vexfs.chunks'),
    value: (_context, state) => (isIndexed(state) ? String(state.chunks) : undefined),
  },
  {
    name: Buffer.from('user.vexfs.model'),
    value: (context, state) => (isIndexed(state) ? context.options.model : undefined),
  },
];
const state = new IndexState();

/** Fills `state`; false where there is nothing to index. */
function readState(context: Context, ino: number): boolean {
  const { namespace, attr } = context;
  if (namespace.stat(ino, attr) < 0 || (attr.mode & S_IFMT) !== S_IFREG) return false;
  return namespace.indexState(ino, state) >= 0;
}

/** The value of the attribute called u8[start, end), undefined = the inode has none of that name. */
export function computedValue(
  context: Context,
  ino: number,
  u8: Uint8Array,
  start: number,
  end: number,
): Uint8Array | undefined {
  const asked = Buffer.from(u8.subarray(start, end));
  const computed = COMPUTED.find(({ name }) => asked.equals(name));
  if (computed === undefined || !readState(context, ino)) return undefined;
  const value = computed.value(context, state);
  return value === undefined ? undefined : Buffer.from(value);
}
