/**
 * The object files against the inodes that refer to them, and against their checksums: compressed ones have one for each frame,
 * plain ones that were at rest for a while for each piece. Of the others it is known that they are there.
 */
import { isCompressed, Place } from '../../fuse/namespace/namespace.ts';
import { describeInode } from '../../fuse/namespace/sound-records.ts';
import { pieceBytes, SUMMED_SIZE_MAX, sumCount } from '../../fuse/namespace/sums.ts';
import { OBJECT_DIRECTORY, objectPath } from '../../fuse/objects/object-path.ts';
import { sumPieces } from '../../fuse/objects/summed-objects.ts';
import { SUMS_MAX } from '../../runtime/config/bounds.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { checkCompressed } from './check-compressed.ts';
import type { Findings, Progress } from './findings.ts';
import type { PrivateTree } from './private-tree.ts';

export interface ObjectCheck {
  readonly objects: number;
  readonly bytes: number;
  /** The highest id of an object file, 0 = there is none. */
  readonly highest: number;
  /** Ids of object files that no inode refers to. */
  readonly orphans: readonly number[];
  /** Of those that have more bytes than their inode says. */
  readonly longer: readonly number[];
  /** Of inodes' objects that have no file. */
  readonly missing: readonly number[];
  /** Compressed objects, and those of them that are not sound. */
  readonly compressed: number;
  readonly unsound: readonly number[];
  /** Plain objects with checksums, and those that do not agree with theirs. */
  readonly summed: number;
  readonly wrong: readonly number[];
}

export const NO_OBJECTS: ObjectCheck = {
  objects: 0,
  bytes: 0,
  highest: 0,
  orphans: [],
  longer: [],
  missing: [],
  compressed: 0,
  unsound: [],
  summed: 0,
  wrong: [],
};

export function checkObjects(
  disk: Disk,
  tree: PrivateTree,
  findings: Findings,
  progress: Progress,
): ObjectCheck {
  const sizes = new Map<number, number>();
  const compressed = new Set<number>();
  tree.forEachObject((id, size, stored) => {
    sizes.set(id, size);
    if (isCompressed(stored)) compressed.add(id);
  });
  const found = new Map<number, number>();
  for (const id of objectIds(disk, findings)) {
    if (found.size % 1024 === 0) progress('objects', found.size, Math.max(sizes.size, found.size));
    const status = disk.stat(objectPath(id));
    if (typeof status === 'number')
      findings.problem({ file: objectPath(id), what: `cannot be looked at (errno ${-status})` });
    else found.set(id, status.bytes);
  }
  const orphans = [...found.keys()].filter((id) => !sizes.has(id));
  const missing = [...sizes.keys()].filter((id) => !found.has(id));
  const longer = [...sizes]
    .filter(([id, size]) => (found.get(id) ?? 0) > size && !compressed.has(id))
    .map(([id]) => id);
  for (const id of orphans)
    findings.note({ file: objectPath(id), what: 'no file refers to it; the next mount deletes it' });
  for (const id of longer) {
    const extra = found.get(id)! - sizes.get(id)!;
    findings.note({
      file: objectPath(id),
      what: `${extra} bytes after the end of its file; the next mount cuts them`,
    });
  }
  const unsound: number[] = [];
  let looked = 0;
  for (const id of compressed) {
    if (!found.has(id)) continue;
    progress('compressed objects', looked++, compressed.size);
    const wrongs = checkCompressed(disk, id, found.get(id)!, sizes.get(id)!);
    for (const { offset, what } of wrongs) findings.problem({ file: objectPath(id), offset, what });
    if (wrongs.length > 0) unsound.push(id);
  }
  const owners = missing.length === 0 ? new Map<number, string>() : ownersOf(tree);
  for (const id of missing)
    findings.problem({ file: objectPath(id), what: `is missing: the content of ${owners.get(id)} is lost` });
  const { summed, wrong } = checkSummed(disk, tree, found, findings, progress);
  const bytes = [...found.values()].reduce((sum, size) => sum + size, 0);
  let highest = 0;
  for (const id of found.keys()) highest = Math.max(highest, id);
  return {
    objects: found.size,
    bytes,
    highest,
    orphans,
    longer,
    missing,
    compressed: compressed.size,
    unsound,
    summed,
    wrong,
  };
}

/** Compares the plain objects that are there with their checksums. */
function checkSummed(
  disk: Disk,
  { namespace, tables }: PrivateTree,
  found: ReadonlyMap<number, number>,
  findings: Findings,
  progress: Progress,
): Pick<ObjectCheck, 'summed' | 'wrong'> {
  const place = new Place();
  const wrong = new Set<number>();
  const sums = new Uint32Array(SUMS_MAX);
  let summed = 0;
  for (let ino = 1; ino < namespace.inodesEnd; ino++) {
    if (namespace.locate(ino, place) < 0 || !place.hasSums || !found.has(place.object)) continue;
    const { object, size } = place;
    // Of such a size it can have none, which is a finding of the tree's.
    if (size > SUMMED_SIZE_MAX || !namespace.readSums(ino, 0, sumCount(size), sums)) continue;
    if (summed++ % 64 === 0) progress('checksums', ino, namespace.inodesEnd);
    const file = objectPath(object);
    const bytes = pieceBytes(size);
    const opened = sumPieces(disk, object, size, (piece, sum) => {
      if (sum === sums[piece]) return true;
      wrong.add(object);
      const [offset, end] = [piece * bytes, Math.min((piece + 1) * bytes, size)];
      const why = sum < 0 ? `cannot be read (errno ${-sum})` : 'bad checksum';
      findings.problem({ file, offset, what: `${why}: up to byte ${end} of ${describeInode(tables, ino)}` });
      return true;
    });
    if (opened < 0) findings.problem({ file, what: `cannot be read (errno ${-opened})` });
  }
  return { summed, wrong: [...wrong] };
}

function* objectIds(disk: Disk, findings: Findings): Generator<number> {
  const directories = disk.list(OBJECT_DIRECTORY);
  if (typeof directories === 'number') {
    findings.problem({ file: OBJECT_DIRECTORY, what: `cannot be read (errno ${-directories})` });
    return;
  }
  for (const directory of directories) {
    const names = disk.list(`${OBJECT_DIRECTORY}/${directory}`);
    if (typeof names === 'number') {
      findings.note({ file: `${OBJECT_DIRECTORY}/${directory}`, what: 'is no directory of objects' });
      continue;
    }
    for (const name of names) {
      const file = `${OBJECT_DIRECTORY}/${directory}/${name}`;
      const id = Number.parseInt(name, 16);
      if (/^[0-9a-f]{1,8}$/.test(name) && objectPath(id) === file) yield id;
      else findings.note({ file, what: 'is no object; nothing reads it' });
    }
  }
}

function ownersOf({ tables, namespace }: PrivateTree): Map<number, string> {
  const owners = new Map<number, string>();
  for (let ino = 1; ino < namespace.inodesEnd; ino++) {
    const object = namespace.objectOf(ino);
    if (object > 0) owners.set(object, describeInode(tables, ino));
  }
  return owners;
}
