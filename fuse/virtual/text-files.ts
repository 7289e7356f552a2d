/** Text files of the virtual tree: nodes of state TEXT in the node table. All slots given are pinned. */
import { SLAB_MAX } from '../../runtime/config/bounds.ts';
import { S_IFREG } from '../protocol/abi.ts';
import type { Attr } from '../protocol/attr.ts';
import { TAG_TEXT } from '../slab-tags.ts';
import { SLOT } from './node-ids.ts';
import { BLOB_BYTES, GENERATION, GID, type NodeTable, TEXT, UID } from './node-table.ts';

export class TextFiles {
  readonly #nodes: NodeTable;

  constructor(nodes: NodeTable) {
    this.#nodes = nodes;
  }

  /** Makes a file of a text, cut to what one slab block holds, with one lookup: its slot, or −errno. */
  create(text: string, uid: number, gid: number, now: number): number {
    const bytes = Buffer.from(text).subarray(0, SLAB_MAX);
    const slot = this.#nodes.allocate(bytes.length, TAG_TEXT, uid, gid, now);
    if (slot < 0) return slot;
    this.#nodes.u8.set(bytes, this.#nodes.blobAt(slot));
    this.#nodes.publish(slot, TEXT);
    return slot;
  }

  stat(slot: number, out: Attr): void {
    const nodes = this.#nodes;
    nodes.stamp(slot, out);
    out.ino = nodes.idOf(slot);
    out.inoHi = SLOT;
    out.generation = nodes.get(slot, GENERATION);
    out.mode = S_IFREG | 0o444;
    out.nlink = 1;
    out.size = nodes.get(slot, BLOB_BYTES);
    out.uid = nodes.get(slot, UID);
    out.gid = nodes.get(slot, GID);
  }

  /** Copies up to `length` bytes from `position` to `u8[at]`; how many there were. */
  read(slot: number, position: number, length: number, u8: Uint8Array, at: number): number {
    const bytes = Math.max(0, Math.min(length, this.#nodes.get(slot, BLOB_BYTES) - position));
    const from = this.#nodes.blobAt(slot) + position;
    u8.set(this.#nodes.u8.subarray(from, from + bytes), at);
    return bytes;
  }
}
