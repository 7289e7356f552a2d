/** Who is started again when one of several supervised children, in the order of their start, has failed. */
export type Strategy =
  /** The one that failed. */
  | 'one-for-one'
  /** That one and all that were started after it, because they build on it. */
  | 'rest-for-one';

/** The children to be started again, in the order of their start. */
export function affected<Child>(
  strategy: Strategy,
  order: readonly Child[],
  failed: Child,
): readonly Child[] {
  const at = order.indexOf(failed);
  if (at < 0) return [];
  return strategy === 'one-for-one' ? [failed] : order.slice(at);
}
