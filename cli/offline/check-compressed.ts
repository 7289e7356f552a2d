/** A compressed object against its own checksums and against what the tree says of the file. */
import type { FrameIndex } from '../../fuse/objects/compressed-format.ts';
import { readFrameIndex } from '../../fuse/objects/compressed-objects.ts';
import { objectPath } from '../../fuse/objects/object-path.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { expandBlock } from '../../runtime/storage/zstd-block.ts';

export interface Wrong {
  /** Byte of the object's file. */
  readonly offset: number;
  readonly what: string;
}

/** What is wrong with object `id` of `objectBytes`, which a file of `size` bytes refers to as compressed. */
export function checkCompressed(disk: Disk, id: number, objectBytes: number, size: number): Wrong[] {
  const descriptor = disk.open(objectPath(id), 'read');
  if (descriptor < 0) return [{ offset: 0, what: `cannot be read (errno ${-descriptor})` }];
  try {
    const index = indexOf(disk, descriptor, id, objectBytes);
    if (typeof index === 'string') return [{ offset: objectBytes, what: `is not sound: ${index}` }];
    if (index.size !== size)
      return [{ offset: objectBytes, what: `has ${index.size} bytes compressed, its file has ${size}` }];
    return wrongFrames(disk, descriptor, index);
  } finally {
    disk.close(descriptor);
  }
}

/** The index of an object that is one of a compressed file; undefined when it is not. */
export function compressedIndex(disk: Disk, id: number, objectBytes: number): FrameIndex | undefined {
  const descriptor = disk.open(objectPath(id), 'read');
  if (descriptor < 0) return undefined;
  const index = indexOf(disk, descriptor, id, objectBytes);
  disk.close(descriptor);
  return typeof index === 'string' ? undefined : index;
}

function indexOf(disk: Disk, descriptor: number, id: number, objectBytes: number): FrameIndex | string {
  const index = readFrameIndex(id, objectBytes, (position, length, u8) =>
    disk.pread(descriptor, u8, 0, length, position),
  );
  return typeof index === 'number' ? `it cannot be read (errno ${-index})` : index;
}

function wrongFrames(disk: Disk, descriptor: number, index: FrameIndex): Wrong[] {
  const wrongs: Wrong[] = [];
  const piece = new Uint8Array(index.frameBytes);
  for (let frame = 0; frame < index.frames; frame++) {
    const offset = index.starts[frame]!;
    const bytes = new Uint8Array(index.starts[frame + 1]! - offset);
    const got = disk.pread(descriptor, bytes, 0, bytes.length, offset);
    const from = frame * index.frameBytes;
    const what = `bytes ${from} to ${from + index.lengthOf(frame)} of its file`;
    if (got < 0) wrongs.push({ offset, what: `${what} cannot be read (errno ${-got})` });
    else if (!expandBlock(bytes, piece.subarray(0, index.lengthOf(frame))))
      wrongs.push({ offset, what: `bad checksum: ${what} are lost` });
  }
  return wrongs;
}
