/** POSIX access control lists said plainly, for the model of the namespace. */

interface Entry {
  readonly tag: number;
  permissions: number;
  readonly id: number;
}

export const ACCESS = 'system.posix_acl_access';
export const DEFAULT = 'system.posix_acl_default';
/** The three that a mode has, and the mask. */
const [OWNER, GROUP, MASK, OTHERS] = [1, 4, 16, 32];

export class ListModel {
  readonly entries: Entry[];

  private constructor(entries: Entry[]) {
    this.entries = entries;
  }

  /** Undefined for what is no list. */
  static parse(bytes: Buffer): ListModel | undefined {
    if (bytes.length < 4 || bytes.readUInt32LE(0) !== 2 || bytes.length % 8 !== 4) return undefined;
    const entries = Array.from({ length: (bytes.length - 4) / 8 }, (_, i) => ({
      tag: bytes.readUInt16LE(4 + i * 8),
      permissions: bytes.readUInt16LE(6 + i * 8),
      id: bytes.readUInt32LE(8 + i * 8),
    }));
    const tags = entries.map(({ tag }) => tag).join(' ');
    const isOrdered = /^1( 2)* 4( 8)*( 16)? 32$/.test(tags);
    const isNamed = /\b[28]\b/.test(tags);
    if (!isOrdered || (isNamed && !/\b16\b/.test(tags))) return undefined;
    return entries.every(({ permissions }) => permissions <= 7) ? new ListModel(entries) : undefined;
  }

  get bytes(): Buffer {
    const bytes = Buffer.alloc(4 + this.entries.length * 8);
    bytes.writeUInt32LE(2);
    this.entries.forEach(({ tag, permissions, id }, i) => {
      bytes.writeUInt16LE(tag, 4 + i * 8);
      bytes.writeUInt16LE(permissions, 6 + i * 8);
      bytes.writeUInt32LE(id, 8 + i * 8);
    });
    return bytes;
  }

  #entry(tag: number): Entry | undefined {
    return this.entries.find((entry) => entry.tag === tag);
  }

  get #three(): readonly [Entry, Entry, Entry] {
    return [this.#entry(OWNER!)!, this.#entry(MASK!) ?? this.#entry(GROUP!)!, this.#entry(OTHERS!)!];
  }

  get permissions(): number {
    return this.#three.reduce((bits, { permissions }) => (bits << 3) | permissions, 0);
  }

  set permissions(bits: number) {
    this.#three.forEach((entry, i) => {
      entry.permissions = (bits >> (6 - 3 * i)) & 7;
    });
  }

  get saysMoreThanBits(): boolean {
    return this.entries.length > 3;
  }
}
