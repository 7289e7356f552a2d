import type { Namespace } from '../../fuse/namespace/namespace.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import { XATTR_SIZE_MAX } from '../../runtime/config/bounds.ts';
import type { Filter } from './query-request.ts';

const TAGS = Buffer.from('user.xdg.tags');

/** Which files a search is to show, beside those that may be read. */
export class FileFilter {
  readonly #namespace: Namespace;
  readonly #filter: Filter;
  readonly #endings: readonly string[] | undefined;
  readonly #attr = new Attr();

  constructor(namespace: Namespace, filter: Filter) {
    this.#namespace = namespace;
    this.#filter = filter;
    const types = typeof filter.type === 'string' ? [filter.type] : filter.type;
    this.#endings = types?.map((type) => `.${type.replace(/^\./, '').toLowerCase()}`);
  }

  /** Whether it may leave anything out. */
  get isOpen(): boolean {
    return Object.keys(this.#filter).length === 0;
  }

  /** The directory, or file, below which files are; undefined = anywhere. */
  get under(): string | undefined {
    return this.#filter.under;
  }

  accepts(ino: number, path: string): boolean {
    const { under, tag } = this.#filter;
    if (under !== undefined && !isUnder(path, under)) return false;
    const lower = path.toLowerCase();
    if (this.#endings !== undefined && !this.#endings.some((ending) => lower.endsWith(ending))) return false;
    if (!this.#acceptsAttributes(ino)) return false;
    return tag === undefined || this.#tags(ino).includes(tag);
  }

  #acceptsAttributes(ino: number): boolean {
    const { owner, group, after, before, minBytes, maxBytes } = this.#filter;
    const attr = this.#attr;
    if (this.#namespace.stat(ino, attr) < 0) return false;
    const modified = attr.mtime + attr.mtimeNs / 1e9;
    return (
      (owner === undefined || attr.uid === owner) &&
      (group === undefined || attr.gid === group) &&
      (after === undefined || modified >= after) &&
      (before === undefined || modified < before) &&
      (minBytes === undefined || attr.size >= minBytes) &&
      (maxBytes === undefined || attr.size <= maxBytes)
    );
  }

  #tags(ino: number): string[] {
    const value = Buffer.alloc(XATTR_SIZE_MAX);
    const length = this.#namespace.getxattr(ino, TAGS, 0, TAGS.length, value, 0, value.length);
    if (length < 0) return [];
    return value
      .toString('utf8', 0, length)
      .split(',')
      .map((tag) => tag.trim());
  }
}

/** Whether a path is another, or below it. */
export function isUnder(path: string, under: string): boolean {
  const prefix = under.endsWith('/') ? under : `${under}/`;
  return path === under || path.startsWith(prefix);
}
