/** The empty namespace: a root directory and nothing else. */
import { take } from './inodes.ts';
import {
  H_DENTRIES_END,
  H_INODES_END,
  H_MAGIC,
  H_NEXT_OBJECT,
  H_VERSION,
  LAYOUT_VERSION,
  NAMESPACE_MAGIC,
  ROOT,
  S_IFDIR,
} from './layout.ts';
import type { Tables } from './tables.ts';

/** `now` in milliseconds since the epoch. The regions are zero, or their contents are given up. */
export function formatNamespace(
  t: Tables,
  root: { readonly uid: number; readonly gid: number; readonly mode: number; readonly now: number },
): void {
  t.header.fill(0);
  t.buckets.fill(0);
  t.header[H_VERSION] = LAYOUT_VERSION;
  t.header[H_INODES_END] = ROOT;
  t.header[H_DENTRIES_END] = 1;
  t.header[H_NEXT_OBJECT] = 1;
  t.setTime(root.now);
  take(t, ROOT, 1, S_IFDIR | (root.mode & 0o7777), root.uid, root.gid, 0);
  t.header[H_MAGIC] = NAMESPACE_MAGIC;
}
