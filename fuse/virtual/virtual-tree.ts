/**
 * The `.vexfs` directory. It is reached by name from the root and not listed there.
 *
 *     .vexfs/search/QUERY/NN-name      links to what a search finds
 *     .vexfs/similar/PATH/NN-name      links to files like PATH: real directories are mirrored by name until a file
 *                                      is named. A mirror lists only its directories, so that walking the tree
 *                                      starts no query
 *     .vexfs/query                     requests are written and answers read on the same handle (query-files.ts)
 *     .vexfs/stats  .vexfs/config  .vexfs/actors/NAME/{state,mailbox,messages,trace}
 *
 * All else is read-only. A text is frozen when it is looked up, in a node of its own, so that its size is right.
 * For a moment the same question from the same process in the same epoch (node-table.ts) finds the same directory of
 * results; else each lookup of a question is a search.
 *
 * One instance per thread; what is shared is the node table. Results are ≥ 0 or −errno.
 */
import type { Clock } from '../../runtime/clock.ts';
import { EINVAL, EISDIR, ENOENT, ENOTDIR, ESTALE } from '../../runtime/errno.ts';
import type { Arena } from '../../runtime/memory/arena.ts';
import type { SlabAllocator } from '../../runtime/memory/slab.ts';
import type { DirEntry, Namespace } from '../namespace/namespace.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../protocol/abi.ts';
import type { Attr } from '../protocol/attr.ts';
import {
  ACTOR,
  ACTORS,
  FIRST_LINK,
  FIXED,
  isSlotted,
  MIRROR,
  QUERY_FILE,
  ROOT,
  SEARCH,
  SIMILAR,
  SLOT,
  VEXFS,
} from './node-ids.ts';
import { NodeTable, setTimes } from './node-table.ts';
import { QueryFiles } from './query-files.ts';
import { type Question, ResultDirectories } from './result-directories.ts';
import type { SearchResult } from './result-links.ts';
import { TextFiles } from './text-files.ts';
import type { VirtualText } from './texts.ts';

/** Kinds of query, and what {@link VirtualTree.lookup} returns when the index has to be asked. */
export const QUERY_SEARCH = 1;
export const QUERY_SIMILAR = 2;

const TOP_NAMES = ['search', 'similar', 'query', 'stats', 'config', 'actors'];
const TOP_DIRECTORIES: Readonly<Record<string, number>> = {
  search: SEARCH,
  similar: SIMILAR,
  actors: ACTORS,
};
const TOP_TEXTS = ['stats', 'config'];
const QUERY_NAME = 'query';
const ACTOR_TEXTS = ['state', 'mailbox', 'messages', 'trace'];
const TOP_NAMES_WITHOUT_QUERY = TOP_NAMES.filter((name) => name !== QUERY_NAME);
const DOT = [Buffer.from('.'), Buffer.from('..')] as const;

export class VirtualTree {
  readonly #namespace: Namespace;
  readonly #nodes: NodeTable;
  readonly #results: ResultDirectories;
  readonly #texts: TextFiles;
  readonly #queries: QueryFiles;
  readonly #text: VirtualText;
  readonly #clock: Clock;
  /** After lookup returned QUERY_SIMILAR: the file that was named. */
  queryIno = 0;

  constructor(arena: Arena, slab: SlabAllocator, namespace: Namespace, text: VirtualText, clock: Clock) {
    this.#namespace = namespace;
    this.#nodes = new NodeTable(arena, slab);
    this.#results = new ResultDirectories(this.#nodes);
    this.#texts = new TextFiles(this.#nodes);
    this.#queries = new QueryFiles(this.#nodes);
    this.#text = text;
    this.#clock = clock;
  }

  /** What {@link Question.epoch} has to be. */
  get epoch(): number {
    return this.#nodes.epoch;
  }

  /** A search begun from now on may answer differently: a vector, a text, a name or a permission is another. */
  searchableChanged(): void {
    this.#nodes.advanceEpoch();
  }

  /** Nodes alive in the node table. */
  liveNodes(): number {
    return this.#nodes.live();
  }

  /** Whether the kernel may keep the name of this node: not where each lookup makes, or checks, another one. */
  nameIsStable(hi: number): boolean {
    return hi === FIXED || hi === ACTOR;
  }

  /** Whether the kernel may keep the attributes of this node: a mirror's change with the real directory. */
  attributesAreStable(hi: number): boolean {
    return hi !== MIRROR && hi !== QUERY_FILE;
  }

  /** Bytes of what was written to a query file and answered so far; −ESTALE when it is gone. */
  queryBytes(lo: number): number {
    return this.#queries.bytes(lo);
  }

  /** By who answers; 0: what comes next is the beginning of a new conversation. */
  setQueryBytes(lo: number, bytes: number): number {
    return this.#queries.setBytes(lo, bytes);
  }

  /**
   * Finds the name u8[start, end) in a virtual directory and counts the lookup. 0 with `out` filled, −errno, or
   * QUERY_SEARCH, QUERY_SIMILAR (with {@link queryIno}): the index must be asked.
   */
  lookup(
    lo: number,
    hi: number,
    u8: Uint8Array,
    start: number,
    end: number,
    uid: number,
    gid: number,
    pid: number,
    out: Attr,
  ): number {
    if (hi === SLOT) return this.#lookupLink(lo, u8, start, end, out);
    if (hi === FIXED && lo === SEARCH) {
      return this.#shareOr(QUERY_SEARCH, lo, hi, u8, start, end, uid, gid, pid, out);
    }
    const directory = this.#mirrored(lo, hi);
    if (directory === 0) return this.#lookupText(lo, hi, u8, start, end, uid, gid, out);
    const ino = this.#namespace.lookup(directory, u8, start, end);
    if (ino < 0) return ino;
    const failed = this.#namespace.stat(ino, out);
    if (failed < 0) return failed;
    const type = out.mode & S_IFMT;
    if (type === S_IFDIR) return this.stat(ino, MIRROR, out);
    if (type !== S_IFREG) return -ENOENT;
    this.queryIno = ino;
    return this.#shareOr(QUERY_SIMILAR, lo, hi, u8, start, end, uid, gid, pid, out);
  }

  /** The kernel gave back `count` lookups. */
  forget(lo: number, hi: number, count: number): void {
    if (isSlotted(hi)) this.#nodes.release(lo, count);
  }

  stat(lo: number, hi: number, out: Attr): number {
    if (!isSlotted(hi)) return this.#statDirectory(lo, hi, out);
    if (hi === QUERY_FILE) return this.#queries.stat(lo, out);
    const slot = this.#nodes.pin(lo);
    if (slot === 0) return -ESTALE;
    const done = this.#statSlot(slot, hi - FIRST_LINK, out);
    this.#nodes.unpin(slot);
    return done;
  }

  /** Copies a link's target to `u8[at]`; its bytes. */
  readlink(lo: number, hi: number, u8: Uint8Array, at: number): number {
    const n = hi - FIRST_LINK;
    if (!isSlotted(hi) || n < 0) return -EINVAL;
    const slot = this.#nodes.pin(lo);
    if (slot === 0) return -ESTALE;
    const isLink = this.#results.isDirectory(slot) && n < this.#results.links(slot);
    const done = isLink ? this.#results.readlink(slot, n, u8, at) : -ESTALE;
    this.#nodes.unpin(slot);
    return done;
  }

  /** Copies up to `length` bytes of a text from `position` to `u8[at]`. */
  read(lo: number, hi: number, position: number, length: number, u8: Uint8Array, at: number): number {
    if (hi !== SLOT) return isSlotted(hi) ? -EINVAL : -EISDIR;
    const slot = this.#nodes.pin(lo);
    if (slot === 0) return -ESTALE;
    const isDirectory = this.#results.isDirectory(slot);
    const done = isDirectory ? -EISDIR : this.#texts.read(slot, position, length, u8, at);
    this.#nodes.unpin(slot);
    return done;
  }

  /**
   * The entry after the cookie (0, 0 = from the start): 1 with `entry` filled, 0 at the end, −errno. Entries of a
   * mirror are the real directory's; elsewhere a cookie is a number of entries.
   */
  readdir(lo: number, hi: number, cookieLo: number, cookieHi: number, entry: DirEntry): number {
    const directory = this.#mirrored(lo, hi);
    if (directory > 0) return this.#readMirror(directory, cookieLo, cookieHi, entry);
    if (!isSlotted(hi)) return this.#readNames(lo, hi, cookieLo, entry);
    if (hi !== SLOT) return -ENOTDIR;
    const slot = this.#nodes.pin(lo);
    if (slot === 0) return -ESTALE;
    const done = this.#readResults(slot, cookieLo, entry);
    this.#nodes.unpin(slot);
    return done;
  }

  /**
   * Makes the directory that answers a question, owned by who asked, with one lookup counted for the reply that
   * carries it. 0 with `out` filled; −ENFILE when there are too many nodes, −ENOSPC without memory for this one.
   */
  createResults(question: Question, results: readonly SearchResult[], out: Attr): number {
    const depth = this.#depth(question);
    if (depth < 0) return depth;
    const slot = this.#results.create(question, results, depth, this.#clock.now());
    if (slot < 0) return slot;
    this.#results.statDirectory(slot, out);
    return 0;
  }

  /** Directories between the root and the links that answer a question. */
  #depth(question: Question): number {
    const directory = this.#mirrored(question.parentLo, question.parentHi);
    if (directory === 0) return 3;
    const path = this.#namespace.pathOf(directory);
    if (path === undefined) return -ENOENT;
    return 3 + path.split('/').filter((name) => name !== '').length;
  }

  /** The real directory that a virtual one mirrors, or 0. */
  #mirrored(lo: number, hi: number): number {
    if (hi === MIRROR) return lo;
    return hi === FIXED && lo === SIMILAR ? ROOT : 0;
  }

  #shareOr(
    kind: number,
    lo: number,
    hi: number,
    u8: Uint8Array,
    start: number,
    end: number,
    uid: number,
    gid: number,
    pid: number,
    out: Attr,
  ): number {
    const slot = this.#results.share(lo, hi, u8, start, end, uid, gid, pid, this.#clock.now());
    if (slot === 0) return kind;
    this.#results.statDirectory(slot, out);
    this.#nodes.unpin(slot);
    return 0;
  }

  #lookupLink(lo: number, u8: Uint8Array, start: number, end: number, out: Attr): number {
    const slot = this.#nodes.pin(lo);
    if (slot === 0) return -ESTALE;
    const n = this.#results.isDirectory(slot) ? this.#results.lookup(slot, u8, start, end) : -ENOTDIR;
    if (n >= 0) this.#results.statLink(slot, n, out);
    this.#nodes.unpin(slot);
    return Math.min(n, 0);
  }

  /** In `.vexfs`, `actors` and `actors/NAME`. */
  #lookupText(
    lo: number,
    hi: number,
    u8: Uint8Array,
    start: number,
    end: number,
    uid: number,
    gid: number,
    out: Attr,
  ): number {
    const name = Buffer.from(u8.subarray(start, end)).toString();
    if (hi === FIXED && lo === VEXFS) {
      const directory = TOP_DIRECTORIES[name];
      if (directory !== undefined) return this.stat(directory, FIXED, out);
      if (name === QUERY_NAME && this.#text.hasQueries)
        return this.#queries.create(uid, gid, this.#clock.now(), out);
      return TOP_TEXTS.includes(name) ? this.#freeze(name, uid, gid, out) : -ENOENT;
    }
    const actors = this.#text.list('actors');
    if (hi === FIXED && lo === ACTORS) {
      const actor = actors.indexOf(name);
      return actor < 0 ? -ENOENT : this.stat(actor, ACTOR, out);
    }
    if (hi !== ACTOR) return -ENOTDIR;
    return ACTOR_TEXTS.includes(name) ? this.#freeze(`actors/${actors[lo]}/${name}`, uid, gid, out) : -ENOENT;
  }

  /** Makes the text of this moment a node of its own. */
  #freeze(path: string, uid: number, gid: number, out: Attr): number {
    const text = this.#text.text(path);
    if (text === undefined) return -ENOENT;
    const slot = this.#texts.create(text, uid, gid, this.#clock.now());
    if (slot < 0) return slot;
    this.#texts.stat(slot, out);
    return 0;
  }

  /** The node itself (n < 0) or its link n. */
  #statSlot(slot: number, n: number, out: Attr): number {
    const isDirectory = this.#results.isDirectory(slot);
    if (n >= 0 && (!isDirectory || n >= this.#results.links(slot))) return -ESTALE;
    if (!isDirectory) this.#texts.stat(slot, out);
    else if (n < 0) this.#results.statDirectory(slot, out);
    else this.#results.statLink(slot, n, out);
    return 0;
  }

  /** A mirror has the real directory's owner and permissions, all others those of the root with r-x for all. */
  #statDirectory(lo: number, hi: number, out: Attr): number {
    const mirror = hi === MIRROR;
    const failed = this.#namespace.stat(mirror ? lo : ROOT, out);
    if (failed < 0) return failed;
    if ((out.mode & S_IFMT) !== S_IFDIR) return -ENOTDIR;
    out.mode = S_IFDIR | (mirror ? out.mode & 0o555 : 0o555);
    out.ino = lo;
    out.inoHi = hi;
    if (!mirror) out.generation = 1;
    out.nlink = 2;
    out.size = 0;
    out.blocks = 0;
    if (hi === FIXED && lo === ACTORS) setTimes(out, this.#text.changedAt('actors'));
    return 0;
  }

  #readResults(slot: number, cookie: number, entry: DirEntry): number {
    if (!this.#results.isDirectory(slot)) return -ENOTDIR;
    if (cookie < DOT.length) return fill(entry, DOT[cookie]!, S_IFDIR, cookie + 1);
    const n = cookie - DOT.length;
    if (n >= this.#results.links(slot)) return 0;
    return fill(entry, this.#results.name(slot, n), S_IFLNK, cookie + 1);
  }

  #readMirror(directory: number, cookieLo: number, cookieHi: number, entry: DirEntry): number {
    let more = this.#namespace.readdir(directory, cookieLo, cookieHi, entry);
    while (more && (entry.mode & S_IFMT) !== S_IFDIR) {
      more = this.#namespace.readdir(directory, entry.cookieLo, entry.cookieHi, entry);
    }
    return more ? 1 : 0;
  }

  #readNames(lo: number, hi: number, cookie: number, entry: DirEntry): number {
    if (cookie < DOT.length) return fill(entry, DOT[cookie]!, S_IFDIR, cookie + 1);
    const names = this.#names(lo, hi);
    let at = cookie - DOT.length;
    while (names[at] === '') at++;
    const name = names[at];
    if (name === undefined) return 0;
    const text = hi === ACTOR || (lo === VEXFS && (TOP_TEXTS.includes(name) || name === QUERY_NAME));
    return fill(entry, Buffer.from(name), text ? S_IFREG : S_IFDIR, at + DOT.length + 1);
  }

  #names(lo: number, hi: number): readonly string[] {
    if (hi === ACTOR) return ACTOR_TEXTS;
    if (lo === VEXFS) return this.#text.hasQueries ? TOP_NAMES : TOP_NAMES_WITHOUT_QUERY;
    return lo === ACTORS ? this.#text.list('actors') : [];
  }
}

/** Inode numbers of entries are not looked at; a listing shows one that is no other file's. */
const ANY_INO = 0xffff_ffff;

function fill(entry: DirEntry, name: Uint8Array, type: number, cookie: number): number {
  entry.ino = ANY_INO;
  entry.mode = type;
  entry.name.set(name);
  entry.nameLength = name.length;
  entry.cookieLo = cookie;
  entry.cookieHi = 0;
  return 1;
}
