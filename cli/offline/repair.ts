/**
 * A store made sound again from what {@link checkStore} could read of it.
 *
 * 1. Nothing is deleted. Checkpoints, log and segments that the repaired state does not build on stay where they are under
 *    a name that nothing reads (`….aside`), for study or for another attempt.
 * 2. Nothing takes effect before the new checkpoint is whole and durable: a repair that is interrupted can be repeated.
 * 3. What has no place in the tree gets one in lost+found: inodes, and, where records of the log are lost, objects that no
 *    inode refers to and a copy of those that are longer than the tree knows.
 */
import { CHECKPOINT_DIRECTORY, checkpointPath, writeCheckpoint } from '../../actors/io/checkpoint.ts';
import { replayInto } from '../../actors/io/log-recovery.ts';
import { LOG_DIRECTORY, segmentPath } from '../../actors/log-files.ts';
import { truncate } from '../../fuse/namespace/content.ts';
import {
  H_NEXT_OBJECT,
  I_SIZE,
  I_STORED,
  INODE_WORDS,
  isCompressed,
  PLAIN,
  STORED_BLOCK,
} from '../../fuse/namespace/layout.ts';
import { addFoundObject } from '../../fuse/namespace/lost-found.ts';
import { setSums } from '../../fuse/namespace/sums.ts';
import { copyTree } from '../../fuse/namespace/tree-copy.ts';
import { objectDirectory, objectPath } from '../../fuse/objects/object-path.ts';
import { systemClock } from '../../runtime/clock.ts';
import { MIB } from '../../runtime/config/bounds.ts';
import type { Config } from '../../runtime/config/schema.ts';
import { EEXIST, EIO } from '../../runtime/errno.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { STORE_DIRECTORIES } from '../../runtime/storage/store.ts';
import type { StoreIdentity } from '../../runtime/storage/store-format.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { StoreCheck } from './check.ts';
import { compressedIndex } from './check-compressed.ts';
import { checkObjects, type ObjectCheck } from './check-objects.ts';
import { SEGMENT_DIRECTORY } from './check-segments.ts';
import { Findings } from './findings.ts';
import { PrivateTree } from './private-tree.ts';

const ASIDE = '.aside';
/** What a Zstandard frame begins with (RFC 8878 3.1.1). */
const ZSTD_MAGIC = 0xfd2fb528;

export interface Repaired {
  /** What was done, a sentence each. */
  readonly done: readonly string[];
}

/** Throws a UserError when the disk refuses; the store is then as it was, or nearer to sound. */
export function repairStore(
  disk: Disk,
  identity: StoreIdentity,
  memory: Pick<Config, 'memory'>,
  check: StoreCheck,
): Repaired {
  const done: string[] = [];
  for (const name of STORE_DIRECTORIES) if (disk.mkdir(name) === 0) done.push(`made the directory ${name}`);
  const { findings, segments } = check;
  if (findings.count > segments.problems + done.length) rewrite(disk, identity, memory, check, done);
  const unusable = segments.unusable.map((name) => `${SEGMENT_DIRECTORY}/${name}`);
  setAside(disk, SEGMENT_DIRECTORY, unusable, done);
  return { done };
}

/** The tree anew, as a checkpoint that needs nothing of what was there. */
function rewrite(
  disk: Disk,
  identity: StoreIdentity,
  memory: Pick<Config, 'memory'>,
  check: StoreCheck,
  done: string[],
): void {
  const old = stateOf(disk, identity, memory, check, done);
  const tree = new PrivateTree(memory, systemClock);
  tree.format();
  tree.loaded();
  const { found, left } = copyTree(old.tree.tables, tree.tables, systemClock.now());
  if (found.length > 0) done.push(`put into lost+found: ${found.join(', ')}`);
  for (const what of left) done.push(`could not take over ${what}`);
  const objects = checkObjects(disk, tree, new Findings(), () => {});
  forgetMissing(tree, objects, done);
  settleForms(disk, tree, objects, done);
  settleSums(tree, objects, old.isBehind, done);
  // As high as ids that inodes named and nobody had may be: from there on there would soon be none left.
  tree.tables.header[H_NEXT_OBJECT] = objects.highest + 1;
  if (old.isBehind) keepObjects(disk, tree, objects, done);
  const parts = tree
    .image()
    .map(({ name, bytes }) => ({ name, bytes: tree.region(name)!.subarray(0, bytes) }));
  const created = systemClock.now();
  required(old.tree.redo.apply(disk), 'the objects that the log has bytes of');
  required(disk.syncAll(), 'the store');
  const written = required(
    writeCheckpoint(disk, { uuid: identity.uuid, lsn: old.lsn, created }, parts),
    'the checkpoint',
  );
  done.push(`wrote a checkpoint of the repaired tree, ${checkpointPath(written)}`);
  setAside(disk, CHECKPOINT_DIRECTORY, check.checkpoints.map(checkpointPath), done);
  setAside(disk, LOG_DIRECTORY, check.log.segments.map(segmentPath), done);
}

interface OldState {
  readonly tree: PrivateTree;
  readonly lsn: number;
  readonly isBehind: boolean;
}

/** What there is to copy: the state that was read; else what a log from its first record on says; else nothing. */
function stateOf(
  disk: Disk,
  identity: StoreIdentity,
  memory: Pick<Config, 'memory'>,
  { state, log }: StoreCheck,
  done: string[],
): OldState {
  if (state !== undefined) return state;
  const tree = new PrivateTree(memory, systemClock);
  tree.format();
  tree.loaded();
  const isWhole = log.firstLsn === 1;
  const outcome = isWhole ? replayInto(tree, disk, identity.bytes, 0) : -EIO;
  tree.afterRecovery();
  const from = isWhole
    ? 'from the log, which goes back to the first record'
    : 'without names: nothing has them any more';
  done.push(`made the tree anew ${from}`);
  return { tree, lsn: typeof outcome === 'number' ? 0 : outcome.lastLsn, isBehind: true };
}

/** A file whose object is gone is empty from now on: to read zeros in its place would be to invent data. */
function forgetMissing({ namespace, tables }: PrivateTree, { missing }: ObjectCheck, done: string[]): void {
  const lost = new Set(missing);
  if (lost.size === 0) return;
  for (let ino = 1; ino < namespace.inodesEnd; ino++) {
    if (!lost.has(namespace.objectOf(ino))) continue;
    const path = namespace.pathOf(ino);
    truncate(tables, ino, 0, 0);
    done.push(`made ${path ?? `inode ${ino}`} empty: its content is missing`);
  }
}

/** What was said to be compressed and is not is plain; one that is says itself how long its file is. */
function settleForms(disk: Disk, tree: PrivateTree, { unsound }: ObjectCheck, done: string[]): void {
  const { namespace, tables } = tree;
  const wrong = new Set(unsound);
  if (wrong.size === 0) return;
  for (let ino = 1; ino < namespace.inodesEnd; ino++) {
    const id = namespace.objectOf(ino);
    if (!wrong.has(id)) continue;
    const form = formOf(disk, id);
    const at = ino * INODE_WORDS;
    const path = namespace.pathOf(ino) ?? `inode ${ino}`;
    const isKnown =
      form?.stored === tables.inode[at + I_STORED] && form?.size === tables.inodeF64[(at + I_SIZE) / 2];
    if (form === undefined || isKnown) {
      done.push(`left ${path}, whose compressed content is damaged: what cannot be read of it is EIO`);
      continue;
    }
    tables.inode[at + I_STORED] = form.stored;
    if (isCompressed(form.stored)) tables.inodeF64[(at + I_SIZE) / 2] = form.size;
    done.push(`corrected how the content of ${path} is stored`);
  }
}

/** Where records are lost, one of them may have said that the checksums no longer count. */
function settleSums(tree: PrivateTree, { wrong }: ObjectCheck, isBehind: boolean, done: string[]): void {
  const { namespace, tables } = tree;
  const others = new Set(wrong);
  for (let ino = 1; others.size > 0 && ino < namespace.inodesEnd; ino++) {
    const object = namespace.objectOf(ino);
    if (!others.delete(object)) continue;
    const path = namespace.pathOf(ino) ?? `inode ${ino}`;
    if (isBehind) setSums(tables, ino, object, tables.bytes, 0, 0);
    done.push(
      isBehind
        ? `took away the checksums of ${path}: it may have changed after them`
        : `left ${path}, which is damaged: what does not agree with its checksums is EIO`,
    );
  }
}

/** Of an object by what is in it; undefined when it was compressed and cannot be read as such. */
function formOf(disk: Disk, id: number): { readonly size: number; readonly stored: number } | undefined {
  const status = disk.stat(objectPath(id));
  if (typeof status === 'number') return undefined;
  const index = compressedIndex(disk, id, status.bytes);
  if (index !== undefined) return { size: index.size, stored: Math.ceil(status.bytes / STORED_BLOCK) };
  const beginning = new Uint8Array(4);
  const descriptor = required(disk.open(objectPath(id), 'read'), objectPath(id));
  required(disk.pread(descriptor, beginning, 0, 4, 0), objectPath(id));
  disk.close(descriptor);
  const isFrame = new DataView(beginning.buffer).getUint32(0, true) === ZSTD_MAGIC;
  return isFrame ? undefined : { size: status.bytes, stored: PLAIN };
}

/** Records are lost that may have referred to them, or said that they are as long as they are. */
function keepObjects(disk: Disk, tree: PrivateTree, { orphans, longer }: ObjectCheck, done: string[]): void {
  for (const id of orphans) keepObject(disk, tree, id, id, done);
  for (const id of longer) {
    const copy = newObject(disk, tree);
    copyObject(disk, id, copy);
    keepObject(disk, tree, id, copy, done);
  }
}

function keepObject(disk: Disk, { tables }: PrivateTree, id: number, file: number, done: string[]): void {
  const status = disk.stat(objectPath(file));
  if (typeof status === 'number') return;
  const name = `object-${id.toString(16)}${id === file ? '' : '-whole'}`;
  const index = compressedIndex(disk, file, status.bytes);
  const size = index?.size ?? status.bytes;
  addFoundObject(
    tables,
    name,
    file,
    size,
    index === undefined ? PLAIN : Math.ceil(status.bytes / STORED_BLOCK),
  );
  done.push(`put into lost+found: ${name}, ${size} bytes`);
}

/** An id that no object file has. */
function newObject(disk: Disk, { namespace }: PrivateTree): number {
  for (;;) {
    const id = namespace.newObjectId();
    if (typeof disk.stat(objectPath(id)) === 'number') return id;
  }
}

function copyObject(disk: Disk, from: number, to: number): void {
  const made = disk.mkdir(objectDirectory(to));
  if (made < 0 && made !== -EEXIST) required(made, objectDirectory(to));
  const source = required(disk.open(objectPath(from), 'read'), objectPath(from));
  const target = required(disk.open(objectPath(to), 'create'), objectPath(to));
  const buffer = new Uint8Array(MIB);
  for (let at = 0; ; at += buffer.length) {
    const got = required(disk.pread(source, buffer, 0, buffer.length, at), objectPath(from));
    if (got > 0) required(disk.pwrite(target, buffer, 0, got, at), objectPath(to));
    if (got < buffer.length) break;
  }
  disk.close(source);
  disk.close(target);
}

/** Under names that no reader of the store takes for its own. */
function setAside(disk: Disk, directory: string, paths: readonly string[], done: string[]): void {
  for (const path of paths) {
    let aside = `${path}${ASIDE}`;
    for (let count = 2; typeof disk.stat(aside) !== 'number'; count++) aside = `${path}${ASIDE}-${count}`;
    required(disk.rename(path, aside), path);
    done.push(`set ${path} aside as ${aside}`);
  }
  if (paths.length > 0) required(disk.syncDirectory(directory), directory);
}

function required(result: number, what: string): number {
  if (result < 0)
    throw new UserError(`the repair stopped at ${what} (errno ${-result}); nothing was deleted`);
  return result;
}
