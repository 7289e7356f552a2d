import type { Asker } from '../../fuse/namespace/change-set.ts';
import type { Collection, Namespace } from '../../fuse/namespace/namespace.ts';
import { MIB } from '../../runtime/config/bounds.ts';
import type { VectorPiece } from '../indexer-remote.ts';
import { isUnder } from './file-filter.ts';
import { vectorAttribute } from './query-request.ts';

/** Of one piece: bytes of vectors, and inodes looked at. */
const PIECE_BYTES = 1 * MIB;
const PIECE_INODES = 100_000;

/** The vectors of a collection from inode `from` on, of files below `under` that may be read: as many as one answer holds. */
export function listVectors(
  namespace: Namespace,
  { name, dimension }: Collection,
  from: number,
  under: string,
  who: Asker,
): VectorPiece {
  const attribute = vectorAttribute(name);
  const bytes = dimension * 4;
  const most = Math.max(1, Math.floor(PIECE_BYTES / bytes));
  const values = new Uint8Array(most * bytes);
  const paths: string[] = [];
  const end = Math.min(namespace.inodesEnd, from + PIECE_INODES);
  let ino = Math.max(1, from);
  for (; ino < end && paths.length < most; ino++) {
    const at = paths.length * bytes;
    const length = namespace.getxattr(ino, attribute, 0, attribute.length, values, at, bytes);
    if (length !== bytes || !namespace.canRead(ino, who.uid, who.gids)) continue;
    const path = namespace.pathOf(ino);
    if (path !== undefined && isUnder(path, under)) paths.push(path);
  }
  const vectors = Buffer.from(values.buffer, 0, paths.length * bytes).toString('base64');
  return { dimension, paths, vectors, next: ino < namespace.inodesEnd ? ino : -1 };
}
