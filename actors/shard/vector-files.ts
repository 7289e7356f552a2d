/**
 * Graphs' exact vectors in files (`vectors.rerank = "disk"`): of each graph the region of its float32 rows is mapped to a file, which has
 * no name, so that nothing of it is left whatever happens. Codes and links stay in memory; the system reads the few rows that a search
 * compares exactly, and drops them again when memory is short.
 */
import * as layout from '../../kernels/assembly/layout.ts';
import { type GraphMemory, headerWord } from '../../kernels/hnsw/graph-memory.ts';
import type { VectorRoom } from '../../kernels/hnsw/vector-room.ts';
import { MIB } from '../../runtime/config/bounds.ts';
import type { Logger } from '../../runtime/log.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { mapFile, reserveBlocks } from '../../runtime/system/mapped-file.ts';
import { wholePages } from '../../runtime/system/pages.ts';

const DIRECTORY = 'vectors';
/** Room on the disk is reserved ahead, bytes. */
const AHEAD = 64 * MIB;
/** Bytes of one write. */
const WRITE_MAX = 64 * MIB;

interface MappedRows {
  readonly fd: number;
  /** First byte of the graph's memory that is mapped, and how many. */
  readonly first: number;
  readonly bytes: number;
  reserved: number;
}

export class VectorFiles implements VectorRoom {
  readonly #disk: Disk;
  readonly #shard: number;
  readonly #logger: Logger;
  readonly #files = new Map<GraphMemory, MappedRows>();
  #made = 0;

  constructor(disk: Disk, shard: number, logger: Logger) {
    this.#disk = disk;
    this.#shard = shard;
    this.#logger = logger;
  }

  adopt(graph: GraphMemory): void {
    const errno = -this.#map(graph);
    if (errno > 0) this.#logger.warn({ errno }, 'the exact vectors of a graph stay in memory');
  }

  reserve(graph: GraphMemory, nodes: number): boolean {
    const file = this.#files.get(graph);
    if (file === undefined) return true;
    const end = rowsEnd(graph, nodes) - file.first;
    if (end <= file.reserved) return true;
    const wanted = Math.min(file.bytes, end + AHEAD);
    if (reserveBlocks(file.fd, file.reserved, wanted) < 0) return false;
    file.reserved = wanted;
    return true;
  }

  release(graph: GraphMemory): void {
    const file = this.#files.get(graph);
    if (file === undefined) return;
    this.#files.delete(graph);
    // The file goes with the memory.
    this.#disk.close(file.fd);
  }

  /** 0 or −errno: then the vectors are where they were. */
  #map(graph: GraphMemory): number {
    const u8 = new Uint8Array(graph.memory.buffer);
    const word = (name: number): number => graph.u32[headerWord(name)]!;
    const { first, bytes } = wholePages(u8, word(layout.VECTORS), rowsEnd(graph, word(layout.CAPACITY)));
    if (bytes === 0) return 0;
    const fd = this.#open();
    if (fd < 0) return fd;
    const used = Math.max(0, Math.min(bytes, rowsEnd(graph, word(layout.NODES)) - first));
    const reserved = Math.min(bytes, used + AHEAD);
    const failed =
      this.#disk.truncate(fd, bytes) ||
      reserveBlocks(fd, 0, reserved) ||
      this.#copy(fd, u8, first, used) ||
      mapFile(fd, u8, first, bytes);
    if (failed === 0) this.#files.set(graph, { fd, first, bytes, reserved });
    else this.#disk.close(fd);
    return failed;
  }

  #open(): number {
    const path = `${DIRECTORY}/float32-${this.#shard}-${this.#made++}.tmp`;
    this.#disk.mkdir(DIRECTORY);
    this.#disk.unlink(path);
    const fd = this.#disk.open(path, 'create');
    if (fd >= 0) this.#disk.unlink(path);
    return fd;
  }

  #copy(fd: number, u8: Uint8Array, first: number, bytes: number): number {
    for (let at = 0; at < bytes; at += WRITE_MAX) {
      const written = this.#disk.pwrite(fd, u8, first + at, Math.min(WRITE_MAX, bytes - at), at);
      if (written < 0) return written;
    }
    return 0;
  }
}

/** Where the rows of the first `nodes` nodes end, in the graph's memory. */
function rowsEnd({ u32 }: GraphMemory, nodes: number): number {
  return u32[headerWord(layout.VECTORS)]! + nodes * u32[headerWord(layout.VECTOR_BYTES)]!;
}
