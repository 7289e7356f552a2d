/**
 * What a store may be after a power cut, from the changes that were made: the tree after each of them, with the LSN of
 * its last record, and all contents that each object has had.
 *
 * The log is a prefix of the records, so the tree of a recovered store is that of one moment, exactly. Contents of
 * objects are written in place and without a log: of each byte any value is right that it had at that moment or has had
 * later (an object's bytes are made durable before the records that follow them), or that a failed write may have left.
 */
import { EIO } from '../../runtime/errno.ts';
import type { Change } from './operations.ts';
import { type NamedObject, type ObjectContent, StoreModel } from './store-model.ts';
import { difference } from './tree-text.ts';

/** What is in the log as several records of one transaction. */
const IN_SEVERAL_RECORDS: ReadonlySet<Change['op']> = new Set(['whiteout', 'transaction']);

interface Version extends ObjectContent {
  /** The state that it became part of; −1 = none, the write has failed. */
  readonly state: number;
}

/** The tree after some number of changes. */
interface State {
  readonly lsn: number;
  /** Changes made by then. */
  readonly changes: number;
  readonly tree: string;
  readonly objects: readonly NamedObject[];
}

interface Made {
  readonly change: Change;
  readonly n: number;
  readonly now: number;
  /** Of the inodes that it has made. */
  readonly inos: readonly number[];
}

/** A tree without what the shards hold. */
export function withoutText(tree: string): string {
  return tree.replaceAll(/ text \S+/g, '');
}

/** What the mount has named as damaged. */
export interface Damaged {
  readonly text?: boolean;
  readonly objects?: boolean;
}

/** What is found in a store after a mount. */
export interface Found {
  readonly lastLsn: number;
  readonly tree: string;
  /** Bytes of a regular file, or −errno. */
  read(path: string): Uint8Array | number;
}

export class Oracle {
  readonly #created: number;
  readonly #states: State[] = [];
  readonly #made: Made[] = [];
  /** By the inode's number in the model. */
  readonly #versions = new Map<number, Version[]>();
  #model: StoreModel;

  /** `created`: when the store was made, milliseconds; `lsn` of its last record. */
  constructor(created: number, lsn: number) {
    this.#created = created;
    this.#model = new StoreModel(created);
    this.#enter(lsn);
  }

  /** A record that is no change, as that of a mount. */
  unchanged(lsn: number): void {
    this.#enter(lsn);
  }

  accepts(change: Change): boolean {
    return this.#model.accepts(change);
  }

  /** The answer that is due to the `n`th change. What it may leave in objects counts from now on. */
  expect(change: Change, n: number, now: number): number {
    const result = this.#model.apply(change, n, now);
    this.#note(this.#states.length);
    return result;
  }

  #note(state: number): void {
    for (const { id, content } of this.#model.touched) {
      const versions = this.#versions.get(id) ?? [];
      versions.push({ ...content, state });
      this.#versions.set(id, versions);
    }
  }

  /** Names of the inodes that the change makes which is expected; '' = one has none. */
  get made(): string[] {
    return this.#model.made.map(({ path }) => path);
  }

  /** The change was made. */
  succeeded(made: Made, lsn: number): void {
    if (lsn === this.lastLsn + 2 && !IN_SEVERAL_RECORDS.has(made.change.op)) this.recordedFirst(lsn - 1);
    number(this.#model, made.inos);
    this.#made.push(made);
    this.#enter(lsn);
  }

  /**
   * Before the change that is expected there was a record: a compressed object was made plain, or checksums no longer count. What
   * the change wrote came after it.
   */
  recordedFirst(lsn: number): void {
    this.#states.push({ ...this.#states.at(-1)!, lsn });
    const versions = this.#versions.get(this.#model.touched[0]?.id ?? -1);
    const last = versions?.pop();
    if (last !== undefined) versions?.push({ ...last, state: last.state + 1 });
  }

  /** The store refused the change that was expected, because its disk did. */
  failed(lsn: number): void {
    for (const { id } of this.#model.touched) {
      const versions = this.#versions.get(id)!;
      versions.push({ ...versions.pop()!, state: -1 });
    }
    this.#model = this.#replayed(this.#made.length);
    // Made plain it was.
    if (lsn > this.lastLsn) this.unchanged(lsn);
  }

  get lastLsn(): number {
    return this.#states.at(-1)!.lsn;
  }

  /** The tree as it is now. */
  get tree(): string {
    return this.#states.at(-1)!.tree;
  }

  /**
   * Why the store is not one that these changes can have left; `acknowledged` is the LSN that must be there. After
   * damage that was named, a text may be missing (it is made anew), and an object that a later record gave up is EIO.
   */
  violation(found: Found, acknowledged: number, damaged: Damaged = {}): string | undefined {
    const { lastLsn } = found;
    if (lastLsn < acknowledged)
      return `record ${acknowledged} was acknowledged, the log ends with ${lastLsn}`;
    const at = this.#stateOf(lastLsn);
    const state = this.#states[at];
    if (state?.lsn !== lastLsn) return `the log ends with record ${lastLsn}, where no change ended`;
    const due = damaged.text ? withoutText(state.tree) : state.tree;
    const tree = damaged.text ? withoutText(found.tree) : found.tree;
    if (due !== tree) return `the tree of record ${lastLsn} ${difference(due, tree)}`;
    for (const object of state.objects) {
      const bytes = found.read(object.path);
      if (damaged.objects && bytes === -EIO) continue;
      const problem = this.#wrongByte(object, at, bytes);
      if (problem !== undefined) return `${object.path} as of record ${lastLsn}: ${problem}`;
    }
    return undefined;
  }

  #stateOf(lsn: number): number {
    return this.#states.findLastIndex((state) => state.lsn <= lsn);
  }

  #wrongByte(due: NamedObject, at: number, bytes: Uint8Array | number): string | undefined {
    if (typeof bytes === 'number') return `errno ${-bytes}`;
    if (due.bytes.length !== bytes.length) return `${bytes.length} bytes, not ${due.bytes.length}`;
    if (due.bytes.equals(bytes)) return undefined;
    const others = (this.#versions.get(due.id) ?? []).filter(
      ({ state, epoch }) => epoch === due.epoch && (state < 0 || state > at),
    );
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] === due.bytes[i] || others.some((other) => other.bytes[i] === bytes[i])) continue;
      return `byte ${i} is ${bytes[i]}, not ${due.bytes[i]} nor one of [${others.map((other) => other.bytes[i])}]`;
    }
    return undefined;
  }

  /** What is due from now on, after a mount that found this: what was changed after its last record never was. */
  resumed(found: Found, mountedLsn: number): Oracle {
    const { changes } = this.#states[this.#stateOf(found.lastLsn)]!;
    const next = new Oracle(this.#created, found.lastLsn);
    next.#made.push(...this.#made.slice(0, changes));
    next.#model = next.#replayed(changes);
    next.#model.restart((path) => found.read(path) as Uint8Array);
    next.#states.length = 0;
    next.#enter(found.lastLsn);
    next.unchanged(mountedLsn);
    return next;
  }

  /** The model after the first `count` changes. */
  #replayed(count: number): StoreModel {
    const model = new StoreModel(this.#created);
    for (const { change, n, now, inos } of this.#made.slice(0, count)) {
      model.apply(change, n, now);
      number(model, inos);
    }
    return model;
  }

  #enter(lsn: number): void {
    const model = this.#model;
    this.#states.push({ lsn, changes: this.#made.length, tree: model.tree(), objects: model.objects() });
  }
}

function number({ made }: StoreModel, inos: readonly number[]): void {
  for (const [i, { node }] of made.entries()) node.ino = inos[i]!;
}
