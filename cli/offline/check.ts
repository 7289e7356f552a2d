/**
 * Everything that can be known of a store that nobody has mounted, without changing it: checksums of checkpoints, log and
 * segments, the tree that they say, and the objects it refers to. Recovery's own readers read, one file at a time, so that
 * what is found here is what a mount would meet.
 */
import {
  CHECKPOINT_DIRECTORY,
  checkpointPath,
  listCheckpoints,
  loadCheckpoint,
} from '../../actors/io/checkpoint.ts';
import { replayInto } from '../../actors/io/log-recovery.ts';
import type { Namespace } from '../../fuse/namespace/namespace.ts';
import { describeInode } from '../../fuse/namespace/sound-records.ts';
import { checkTree, type TreeCounts } from '../../fuse/namespace/tree-check.ts';
import { systemClock } from '../../runtime/clock.ts';
import { FILES_MAX, GIB } from '../../runtime/config/bounds.ts';
import type { Config } from '../../runtime/config/schema.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { STORE_DIRECTORIES } from '../../runtime/storage/store.ts';
import type { StoreIdentity } from '../../runtime/storage/store-format.ts';
import { checkLog, type LogCheck } from './check-log.ts';
import { checkObjects, NO_OBJECTS, type ObjectCheck } from './check-objects.ts';
import { checkSegments, type SegmentCheck } from './check-segments.ts';
import { Findings, type Progress } from './findings.ts';
import { narrowed } from './narrowed-disk.ts';
import { PrivateTree } from './private-tree.ts';

/** For {@link roomy}. Memory is reserved, not used: a store of a larger configuration than today's is to be read as well. */
const FILES_MIN = 4_000_000;
const BUDGET_MIN = 4 * GIB;

/** The state that a mount would serve. */
export interface CheckedState {
  readonly tree: PrivateTree;
  /** LSN of the last record in it. */
  readonly lsn: number;
  /** Whether records that were written are not in it. */
  readonly isBehind: boolean;
}

export interface StoreCheck {
  readonly findings: Findings;
  readonly checkpoints: readonly number[];
  readonly log: LogCheck;
  readonly segments: SegmentCheck;
  readonly objects: ObjectCheck;
  readonly tree: TreeCounts | undefined;
  /** Undefined when no checkpoint can be read. */
  readonly state: CheckedState | undefined;
}

export function checkStore(
  disk: Disk,
  identity: StoreIdentity,
  memory: Pick<Config, 'memory'>,
  progress: Progress,
): StoreCheck {
  const findings = new Findings();
  for (const name of STORE_DIRECTORIES) {
    const status = disk.stat(name);
    if (typeof status === 'number' || !status.directory)
      findings.problem({ file: name, what: 'the directory is missing' });
  }
  const checkpoints = checkCheckpoints(disk, identity, memory, findings, progress);
  const log = checkLog(disk, identity.bytes, findings, progress);
  const newest = checkpoints.valid.at(-1);
  const trees = new Map<number, Namespace>();
  if (newest !== undefined) trees.set(newest.lsn, newest.tree.namespace);
  const segments = checkSegments(disk, trees, findings, progress);
  if (newest === undefined) {
    if (checkpoints.all.length > 0 || log.segments.length > 0)
      findings.problem({
        file: CHECKPOINT_DIRECTORY,
        what: 'no checkpoint can be read: the store cannot be mounted',
      });
    return {
      findings,
      checkpoints: checkpoints.all,
      log,
      segments,
      objects: NO_OBJECTS,
      tree: undefined,
      state: undefined,
    };
  }
  const state = replay(disk, identity, newest, findings, progress);
  progress('tree', 0, 1);
  const { tables } = state.tree;
  const tree = checkTree(tables, (ino, what) => findings.problem({ path: describeInode(tables, ino), what }));
  const objects = checkObjects(disk, state.tree, findings, progress);
  return { findings, checkpoints: checkpoints.all, log, segments, objects, tree, state };
}

/** The configuration with room for what other ones may have left. */
export function roomy({ memory }: Pick<Config, 'memory'>): Pick<Config, 'memory'> {
  const max_files = Math.min(FILES_MAX, Math.max(memory.max_files, FILES_MIN));
  return { memory: { ...memory, max_files, budget: Math.max(memory.budget, BUDGET_MIN) } };
}

interface LoadedTree {
  readonly tree: PrivateTree;
  readonly lsn: number;
}

/** Each of them, the older ones as well: the newest may be damaged tomorrow. */
function checkCheckpoints(
  disk: Disk,
  identity: StoreIdentity,
  memory: Pick<Config, 'memory'>,
  findings: Findings,
  progress: Progress,
): { readonly all: readonly number[]; readonly valid: readonly LoadedTree[] } {
  const names = disk.list(CHECKPOINT_DIRECTORY);
  const all = listCheckpoints(disk);
  if (typeof names === 'number' || typeof all === 'number') return { all: [], valid: [] };
  const known = new Set(all.map((sequence) => checkpointPath(sequence)));
  for (const name of names) {
    const file = `${CHECKPOINT_DIRECTORY}/${name}`;
    const what = name.endsWith('.tmp')
      ? 'was not finished; the next mount deletes it'
      : 'is no checkpoint; nothing reads it';
    if (!known.has(file)) findings.note({ file, what });
  }
  const valid: LoadedTree[] = [];
  for (const [at, sequence] of all.entries()) {
    progress('checkpoints', at, all.length);
    const tree = loadOne(disk, identity, sequence, memory, findings);
    if (tree === undefined) continue;
    // Only the newest is needed from here on: the memory of the others is given back.
    valid.splice(0, valid.length, tree);
  }
  return { all, valid };
}

function loadOne(
  disk: Disk,
  identity: StoreIdentity,
  sequence: number,
  memory: Pick<Config, 'memory'>,
  findings: Findings,
): LoadedTree | undefined {
  const path = checkpointPath(sequence);
  const tree = new PrivateTree(memory, systemClock);
  const alone = narrowed(disk, CHECKPOINT_DIRECTORY, [path.slice(CHECKPOINT_DIRECTORY.length + 1)]);
  const outcome = loadCheckpoint(alone, identity.uuid, (name) => tree.region(name));
  if (typeof outcome === 'string') {
    findings.problem({ file: path, what: outcome });
    return undefined;
  }
  for (const { damage } of outcome.damaged)
    findings.problem({ file: damage.file, offset: damage.offset, what: damage.reason });
  if (outcome.loaded === undefined) return undefined;
  try {
    tree.loaded();
  } catch (error) {
    findings.problem({ file: path, what: error instanceof Error ? error.message : String(error) });
    return undefined;
  }
  return { tree, lsn: outcome.loaded.lsn };
}

function replay(
  disk: Disk,
  identity: StoreIdentity,
  { tree, lsn }: LoadedTree,
  findings: Findings,
  progress: Progress,
): CheckedState {
  progress('replay', 0, 1);
  const outcome = replayInto(tree, disk, identity.bytes, lsn);
  try {
    tree.afterRecovery();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    findings.problem({ what: `files that were removed cannot be let go of: ${reason}` });
  }
  if (typeof outcome === 'number') return { tree, lsn, isBehind: true };
  const { damage, lastLsn } = outcome;
  if (damage !== undefined) {
    findings.problem({ file: damage.file, offset: damage.offset, what: damage.reason });
    findings.note({ what: `what was changed after record ${lastLsn} is not in the tree that was looked at` });
  }
  return { tree, lsn: lastLsn, isBehind: damage !== undefined };
}
