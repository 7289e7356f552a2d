/** What is dirty of objects, and when the disk is told of it. */
import { expect, test } from 'vitest';
import { DirtyObjects } from '../../actors/io/objects.ts';
import { objectDirectory, objectPath } from '../../fuse/objects/object-path.ts';
import { MIB, WRITE_BEHIND_BYTES } from '../../runtime/config/bounds.ts';
import { EIO } from '../../runtime/errno.ts';
import { FaultyDisk } from './faulty-disk.ts';

const IDS = [3, 4, 5];

function diskWithObjects(): FaultyDisk {
  const disk = new FaultyDisk();
  disk.mkdir('objects');
  for (const id of IDS) {
    disk.mkdir(objectDirectory(id));
    disk.close(disk.open(objectPath(id), 'create'));
  }
  return disk;
}

/** Objects that the disk was told to begin with since the mark. */
const begun = (disk: FaultyDisk, mark: number): string[] =>
  disk.log.slice(mark).filter((call) => call.startsWith('startWriting'));

test('the disk begins with an object once much of it is not durable, again after as much more, and anew after a flush', () => {
  const disk = diskWithObjects();
  const objects = new DirtyObjects(disk);
  const mark = disk.log.length;
  const counts = IDS.map(() => 0);
  for (let written = MIB; written <= 3 * WRITE_BEHIND_BYTES; written += MIB) {
    for (const [i, id] of IDS.entries()) {
      objects.dirty(id, i === 0 ? 1000 : MIB);
      if (i > 0 && written % WRITE_BEHIND_BYTES === 0) counts[i]!++;
    }
    expect(begun(disk, mark)).toHaveLength(counts[1]! + counts[2]!);
  }
  objects.dirty(5, WRITE_BEHIND_BYTES - 1);
  expect(objects.flush(false)).toBe(0);
  expect(disk.log.slice(mark).filter((call) => call.startsWith('fdatasync'))).toHaveLength(3);
  objects.dirty(5, WRITE_BEHIND_BYTES - 1);
  expect(begun(disk, mark)).toHaveLength(6);
  objects.dirty(5, 1);
  expect(begun(disk, mark)).toHaveLength(7);
});

test('the disk cannot begin with an object: no flush succeeds any more; one that is gone is nothing to begin with', () => {
  const disk = diskWithObjects();
  const objects = new DirtyObjects(disk);
  objects.dirty(77, WRITE_BEHIND_BYTES);
  expect(objects.flush(false)).toBe(0);
  disk.failing = (name) => (name === 'startWriting' ? EIO : 0);
  objects.dirty(4, WRITE_BEHIND_BYTES);
  disk.failing = undefined;
  for (let i = 0; i < 2; i++) expect(objects.flush(false)).toBe(-EIO);
});
