/**
 * Query files: nodes of state QUERY in the node table. Each lookup of `.vexfs/query` makes one, so each open file has one of
 * its own (OPEN does not reach us). What is written to it, and the answers, follow each other in one file that only grows:
 * the kernel's page cache may keep any part of it, and who has written a request reads on from there. The bytes are with
 * whoever answers; here is how many there are.
 */
import { ESTALE } from '../../runtime/errno.ts';
import { S_IFREG } from '../protocol/abi.ts';
import type { Attr } from '../protocol/attr.ts';
import { TAG_TEXT } from '../slab-tags.ts';
import { QUERY_FILE } from './node-ids.ts';
import { GENERATION, GID, type NodeTable, QUERY, QUERY_BYTES, STATE, UID } from './node-table.ts';

export class QueryFiles {
  readonly #nodes: NodeTable;

  constructor(nodes: NodeTable) {
    this.#nodes = nodes;
  }

  /** Makes one that is the asker's alone, with one lookup: 0 with `out` filled, or −errno. */
  create(uid: number, gid: number, now: number, out: Attr): number {
    const nodes = this.#nodes;
    const slot = nodes.allocate(0, TAG_TEXT, uid, gid, now);
    if (slot < 0) return slot;
    nodes.store(slot, QUERY_BYTES, 0);
    nodes.publish(slot, QUERY);
    this.#fill(slot, out);
    return 0;
  }

  stat(id: number, out: Attr): number {
    const slot = this.#pin(id);
    if (slot === 0) return -ESTALE;
    this.#fill(slot, out);
    this.#nodes.unpin(slot);
    return 0;
  }

  bytes(id: number): number {
    const slot = this.#pin(id);
    if (slot === 0) return -ESTALE;
    const bytes = this.#nodes.load(slot, QUERY_BYTES);
    this.#nodes.unpin(slot);
    return bytes;
  }

  setBytes(id: number, bytes: number): number {
    const slot = this.#pin(id);
    if (slot === 0) return -ESTALE;
    this.#nodes.store(slot, QUERY_BYTES, bytes);
    this.#nodes.unpin(slot);
    return 0;
  }

  #pin(id: number): number {
    const slot = this.#nodes.pin(id);
    if (slot === 0 || this.#nodes.get(slot, STATE) === QUERY) return slot;
    this.#nodes.unpin(slot);
    return 0;
  }

  #fill(slot: number, out: Attr): void {
    const nodes = this.#nodes;
    nodes.stamp(slot, out);
    out.ino = nodes.idOf(slot);
    out.inoHi = QUERY_FILE;
    out.generation = nodes.get(slot, GENERATION);
    out.mode = S_IFREG | 0o600;
    out.nlink = 1;
    out.size = nodes.load(slot, QUERY_BYTES);
    out.uid = nodes.get(slot, UID);
    out.gid = nodes.get(slot, GID);
  }
}
