/**
 * The segments with the text vectors. They are a cache: what is damaged costs the time to index files again, and nothing
 * else, so a repair sets them aside.
 */
import { ChunkBatch } from '../../actors/chunk-batch.ts';
import { damageOfGraph, type GraphFileName, parseGraphFile } from '../../actors/graph-file.ts';
import { readSegments } from '../../actors/text-segment.ts';
import { shardOf } from '../../actors/topology.ts';
import { IndexState, type Namespace } from '../../fuse/namespace/namespace.ts';
import { ENOENT } from '../../runtime/errno.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import type { Findings, Progress } from './findings.ts';
import { watched } from './narrowed-disk.ts';

export const SEGMENT_DIRECTORY = 'vectors';
const NAME = /^([0-9a-f]{14})-(\d+)\.seg$/;

export interface SegmentCheck {
  readonly files: number;
  readonly passages: number;
  /** Names in {@link SEGMENT_DIRECTORY} of those that cannot be used: each damaged one with all of its LSN. */
  readonly unusable: readonly string[];
  /** How many problems were found. */
  readonly problems: number;
}

/** `trees` has the tree as of an LSN, where there is a checkpoint of it. */
export function checkSegments(
  disk: Disk,
  trees: ReadonlyMap<number, Namespace>,
  findings: Findings,
  progress: Progress,
): SegmentCheck {
  const before = findings.count;
  const names = disk.list(SEGMENT_DIRECTORY);
  if (typeof names === 'number') {
    if (names !== -ENOENT)
      findings.problem({ file: SEGMENT_DIRECTORY, what: `cannot be read (errno ${-names})` });
    return { files: 0, passages: 0, unusable: [], problems: findings.count - before };
  }
  const byLsn = new Map<number, string[]>();
  for (const name of names) {
    const match = NAME.exec(name);
    const graph = parseGraphFile(name);
    if (graph !== undefined) checkGraph(disk, name, graph, findings);
    else if (match === null)
      findings.note({ file: `${SEGMENT_DIRECTORY}/${name}`, what: 'is no segment; nothing reads it' });
    else
      byLsn.set(Number.parseInt(match[1]!, 16), [...(byLsn.get(Number.parseInt(match[1]!, 16)) ?? []), name]);
  }
  const unusable = new Set<string>();
  let passages = 0;
  let done = 0;
  for (const [lsn, files] of byLsn) {
    const tree = trees.get(lsn);
    for (const name of files) {
      progress('vectors', done++, names.length);
      const checked = checkSegment(disk, name, lsn, files.length, tree, findings);
      if (checked < 0) for (const sibling of files) unusable.add(sibling);
      else passages += checked;
    }
  }
  return { files: done, passages, unusable: [...unusable], problems: findings.count - before };
}

/** A graph that was kept. It is a hint: damage costs the time to link its vectors again, and nothing has to be repaired. */
function checkGraph(disk: Disk, name: string, graph: GraphFileName, findings: Findings): void {
  if (graph.isUnfinished) return;
  const offset = damageOfGraph(disk, graph);
  if (offset === undefined) return;
  const what = `cannot be used from byte ${offset} on: the graph will be built anew`;
  findings.note({ file: `${SEGMENT_DIRECTORY}/${name}`, what });
}

/** The passages in it, or −1 when it cannot be used. */
function checkSegment(
  disk: Disk,
  name: string,
  lsn: number,
  shards: number,
  tree: Namespace | undefined,
  findings: Findings,
): number {
  const file = `${SEGMENT_DIRECTORY}/${name}`;
  const shard = Number(NAME.exec(name)![2]);
  const batch = new ChunkBatch();
  const state = new IndexState();
  let passages = 0;
  let strays = 0;
  let gone = 0;
  // Where the reader came to: it reads the file in pieces, or at once, and then what it has visited says more.
  let end = 0;
  const status = disk.stat(file);
  const bytes = typeof status === 'number' ? 0 : status.bytes;
  const reader = watched(disk, (position) => {
    end = position;
  });
  const isWhole = readSegments(reader, lsn, shard, shards, (ino, generation, u8, offset, length) => {
    if (u8.length >= bytes) end = offset + length;
    if (!batch.read(u8, offset, length)) strays++;
    else passages += batch.count;
    if (shardOf(ino, shards) !== shard) strays++;
    if (tree === undefined) return;
    if (tree.indexState(ino, state) < 0 || state.generation !== generation) gone++;
  });
  if (gone > 0)
    findings.note({ file, what: `${gone} records are of files that are no more; a mount drops them` });
  if (isWhole && strays === 0) return passages;
  const what = isWhole ? `${strays} records are not this segment's` : 'cannot be used from here on';
  findings.problem({ file, offset: isWhole ? 0 : end, what: `${what}: texts will be indexed again` });
  return -1;
}
