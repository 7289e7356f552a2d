/** The collections of the model: a vector's first use makes one. */
import { EBUSY, EINVAL, ENOENT, ENOSPC } from '../../runtime/errno.ts';

const COLLECTIONS_MAX = 64;
const PREFIX = 'user.vexfs.vector';

/** The collection that an attribute of this name is a vector of; undefined = it is none. */
export function collectionOf(attribute: string): string | undefined {
  if (attribute === PREFIX) return 'default';
  return attribute.startsWith(`${PREFIX}.`) ? attribute.slice(PREFIX.length + 1) : undefined;
}

export class ModelCollections {
  /** By name. */
  readonly dimensions = new Map<string, number>();
  readonly #ids = new Map<string, number>();
  readonly #dropping = new Set<string>();
  #made = 0;

  /** 0 = there is none of this name. */
  idOf(name: string): number {
    return this.#ids.get(name) ?? 0;
  }

  /** Its id. */
  create(name: string, dimension: number): number {
    if (!this.dimensions.has(name)) this.#add(name, dimension);
    return this.dimensions.get(name) === dimension ? this.idOf(name) : -EINVAL;
  }

  /** Its id. To be gone, it must have no vectors. */
  drop(name: string, isGone: boolean): number {
    if (!this.dimensions.has(name)) return -ENOENT;
    if (isGone && !this.#dropping.has(name)) return -EBUSY;
    const id = this.idOf(name);
    if (!isGone) this.#dropping.add(name);
    else for (const known of [this.dimensions, this.#ids, this.#dropping]) known.delete(name);
    return id;
  }

  isDropping(name: string): boolean {
    return this.#dropping.has(name);
  }

  /** Whether a vector can be of the collection: 0 or why not. */
  check(name: string, value: Buffer): number {
    if (!/^[\w-][\w.-]{0,62}$/.test(name)) return -EINVAL;
    if (value.length === 0 || value.length % 4 !== 0 || value.length > 8192 * 4) return -EINVAL;
    const floats = Array.from({ length: value.length / 4 }, (_, i) => value.readFloatLE(4 * i));
    if (!floats.every(Number.isFinite) || floats.every((x) => x === 0)) return -EINVAL;
    if (this.#dropping.has(name)) return -EBUSY;
    if ((this.dimensions.get(name) ?? floats.length) !== floats.length) return -EINVAL;
    return this.dimensions.has(name) || this.dimensions.size < COLLECTIONS_MAX ? 0 : -ENOSPC;
  }

  #add(name: string, dimension: number): void {
    this.dimensions.set(name, dimension);
    this.#ids.set(name, ++this.#made);
  }
}
