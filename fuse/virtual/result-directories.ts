/**
 * Directories of search results and the links in them: nodes of state RESULTS in the node table. A directory belongs
 * to who asked, mode 0500; its links are anybody's who gets that far, as symlinks are. All slots given are pinned.
 */
import { ENOENT, ESTALE } from '../../runtime/errno.ts';
import { S_IFDIR, S_IFLNK } from '../protocol/abi.ts';
import type { Attr } from '../protocol/attr.ts';
import { TAG_RESULTS } from '../slab-tags.ts';
import { FIRST_LINK, SLOT } from './node-ids.ts';
import {
  GENERATION,
  GID,
  LINKS,
  type NodeTable,
  PARENT_HI,
  PARENT_LO,
  PID,
  QUERY_HASH,
  RESULTS,
  SLOT_EPOCH,
  STATE,
  UID,
} from './node-table.ts';
import {
  encodeLinks,
  findLink,
  hasKey,
  measureLinks,
  nameBytes,
  nameStart,
  type SearchResult,
  targetBytes,
  targetStart,
  writeLinks,
} from './result-links.ts';

/**
 * How long the same question finds the same directory, milliseconds: a program that lists a directory and then looks
 * at each of its links by path asks as many times. Another process of the same user may have other groups, so it asks
 * anew.
 */
const SHARED_MS = 2000;

/** Who asked what, where: as it was handed over, with the epoch read before the search began. */
export interface Question {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** The virtual directory the name was looked up in. */
  readonly parentLo: number;
  readonly parentHi: number;
  /** The name looked up. */
  readonly name: Uint8Array;
  /** `VirtualTree.epoch` from before the search. */
  readonly epoch: number;
}

export class ResultDirectories {
  readonly #nodes: NodeTable;

  constructor(nodes: NodeTable) {
    this.#nodes = nodes;
  }

  /** Makes the directory, with one lookup: its slot, or −errno. `depth`: directories between root and links. */
  create(question: Question, results: readonly SearchResult[], depth: number, now: number): number {
    const links = encodeLinks(results, depth);
    const { bytes, count } = measureLinks(question.name.length, links);
    const slot = this.#nodes.allocate(bytes, TAG_RESULTS, question.uid, question.gid, now);
    if (slot < 0) return slot;
    writeLinks(this.#nodes.u8, this.#nodes.blobAt(slot), question.name, links, count);
    this.#nodes.set(slot, SLOT_EPOCH, question.epoch);
    this.#nodes.set(slot, QUERY_HASH, hashOf(question.name, 0, question.name.length));
    this.#nodes.set(slot, PID, question.pid);
    this.#nodes.set(slot, PARENT_LO, question.parentLo);
    this.#nodes.set(slot, PARENT_HI, question.parentHi);
    this.#nodes.set(slot, LINKS, count);
    this.#nodes.publish(slot, RESULTS);
    return slot;
  }

  /** A directory that still answers this question of this process, with one more lookup: its slot, pinned, or 0. */
  share(
    parentLo: number,
    parentHi: number,
    u8: Uint8Array,
    start: number,
    end: number,
    uid: number,
    gid: number,
    pid: number,
    now: number,
  ): number {
    const nodes = this.#nodes;
    const epoch = nodes.epoch;
    return nodes.find(
      hashOf(u8, start, end),
      now - SHARED_MS,
      (slot) =>
        nodes.get(slot, SLOT_EPOCH) === epoch &&
        nodes.get(slot, PID) === pid &&
        nodes.get(slot, UID) === uid &&
        nodes.get(slot, GID) === gid &&
        nodes.get(slot, PARENT_LO) === parentLo &&
        nodes.get(slot, PARENT_HI) === parentHi &&
        hasKey(nodes.u8, nodes.blobAt(slot), nodes.get(slot, LINKS), u8, start, end),
    );
  }

  /** The link n called u8[start, end), with one more lookup on the directory, or −errno. */
  lookup(slot: number, u8: Uint8Array, start: number, end: number): number {
    const n = findLink(this.#nodes.u8, this.#nodes.blobAt(slot), this.links(slot), u8, start, end);
    if (n < 0) return -ENOENT;
    return this.#nodes.acquire(slot) ? n : -ESTALE;
  }

  isDirectory(slot: number): boolean {
    return this.#nodes.get(slot, STATE) === RESULTS;
  }

  /** How many links a directory has. */
  links(slot: number): number {
    return this.#nodes.get(slot, LINKS);
  }

  statDirectory(slot: number, out: Attr): void {
    this.#stat(slot, SLOT, S_IFDIR | 0o500, 0, out);
    out.nlink = 2;
  }

  statLink(slot: number, n: number, out: Attr): void {
    const bytes = targetBytes(this.#nodes.u8, this.#nodes.blobAt(slot), n);
    this.#stat(slot, FIRST_LINK + n, S_IFLNK | 0o777, bytes, out);
  }

  /** Copies a link's target to `u8[at]`; its bytes. */
  readlink(slot: number, n: number, u8: Uint8Array, at: number): number {
    const blob = this.#nodes.blobAt(slot);
    const from = targetStart(this.#nodes.u8, blob, n);
    const bytes = targetBytes(this.#nodes.u8, blob, n);
    u8.set(this.#nodes.u8.subarray(from, from + bytes), at);
    return bytes;
  }

  /** Name of link n. */
  name(slot: number, n: number): Uint8Array {
    const blob = this.#nodes.blobAt(slot);
    const start = nameStart(this.#nodes.u8, blob, n);
    return this.#nodes.u8.subarray(start, start + nameBytes(this.#nodes.u8, blob, n));
  }

  #stat(slot: number, hi: number, mode: number, size: number, out: Attr): void {
    const nodes = this.#nodes;
    nodes.stamp(slot, out);
    out.ino = nodes.idOf(slot);
    out.inoHi = hi;
    out.generation = nodes.get(slot, GENERATION);
    out.mode = mode;
    out.nlink = 1;
    out.size = size;
    out.uid = nodes.get(slot, UID);
    out.gid = nodes.get(slot, GID);
  }
}

/** FNV-1a, never 0 (which stands for "no question"). */
function hashOf(u8: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ u8[i]!, 0x01000193);
  return hash >>> 0 || 1;
}
