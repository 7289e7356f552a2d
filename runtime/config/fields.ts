/** The schema as a flat list, which the printed default, the messages and the overrides are made from. */
import { assert } from '../assert.ts';
import type { LiveKey } from './live.ts';
import { declaredJsonSchema } from './schema.ts';
import { formatSize } from './size.ts';

export type FieldKind = 'count' | 'size' | 'flag' | 'choice' | 'list' | 'cpus';

export interface Field {
  /** As in `--set`: "store.inline_limit". */
  readonly key: string;
  readonly section: string;
  readonly name: string;
  readonly kind: FieldKind;
  readonly description: string;
  /** As written in the file: a size is still text. */
  readonly initial: unknown;
  /** What may be written, to follow "it must be": "a whole number from 1 to 64". */
  readonly accepts: string;
  /** The same in a few characters, for a comment: "1 … 64". '' where the initial value says it. */
  readonly range: string;
  /** Of a choice. */
  readonly choices: readonly string[];
  /** Applies as soon as the configuration is read again, without a new mount. */
  readonly isLive: boolean;
}

export interface Section {
  readonly name: string;
  readonly description: string;
  /** The key that is meant when the section is written as a plain value; '' for none. */
  readonly shorthand: string;
}

export interface Property {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly size?: { readonly minimum: number; readonly maximum: number };
  readonly live?: boolean;
  readonly items?: { readonly pattern?: string };
  readonly shorthand?: string;
  readonly properties?: Readonly<Record<string, Property>>;
}

function kindOf(property: Property): FieldKind {
  if (property.size !== undefined) return 'size';
  if (property.enum !== undefined) return 'choice';
  if (property.type === 'boolean') return 'flag';
  if (property.type === 'object') return 'cpus';
  return property.type === 'array' ? 'list' : 'count';
}

function acceptsOf(property: Property): string {
  switch (kindOf(property)) {
    case 'size':
      return `a size from ${formatSize(property.size!.minimum)} to ${formatSize(property.size!.maximum)}, such as "16KiB", "64MiB" or a number of bytes`;
    case 'choice':
      return `one of ${property.enum!.map((value) => `"${value}"`).join(', ')}`;
    case 'flag':
      return 'true or false';
    case 'list':
      return property.items?.pattern === undefined
        ? 'a list of texts, such as [".git"]'
        : 'a list of NAME:DIMENSION, such as ["images:512", "sift:128:l2"]';
    case 'cpus':
      return 'a table of threads and CPUs, such as { "fuse-0" = 0, "shard-*" = "2-5" }';
    case 'count':
      return `a whole number from ${property.minimum} to ${property.maximum}`;
  }
}

function rangeOf(property: Property): string {
  const size = property.size;
  if (size !== undefined) return `${formatSize(size.minimum)} … ${formatSize(size.maximum)}`;
  if (property.enum !== undefined) return property.enum.join(' | ');
  return property.minimum === undefined ? '' : `${property.minimum} … ${property.maximum}`;
}

function fieldOf(section: string, name: string, property: Property): Field {
  return {
    key: `${section}.${name}`,
    section,
    name,
    kind: kindOf(property),
    description: property.description ?? '',
    initial: property.default,
    accepts: acceptsOf(property),
    range: rangeOf(property),
    choices: property.enum ?? [],
    isLive: property.live === true,
  };
}

/** The schema as data, for threads that only print: deriving it takes them longer than all else they start with. */
export interface Declared {
  /** Every key, in the order of the schema. */
  readonly fields: readonly Field[];
  readonly sections: readonly Section[];
}

/** Values of a flag, by what is stored for them. */
const FLAG: readonly boolean[] = [false, true];

function walk(): Declared {
  const fields: Field[] = [];
  const sections: Section[] = [];
  for (const [name, property] of Object.entries((declaredJsonSchema() as Property).properties ?? {})) {
    assert(property.properties !== undefined, 'every key stands in a section');
    sections.push({ name, description: property.description ?? '', shorthand: property.shorthand ?? '' });
    for (const [key, inner] of Object.entries(property.properties)) fields.push(fieldOf(name, key, inner));
  }
  return { fields, sections };
}

export const DECLARED = walk();
export const { fields: FIELDS, sections: SECTIONS } = DECLARED;

/** The keys that apply without a new mount, with how to write them in a word of shared memory. */
export const LIVE_KEYS: readonly LiveKey[] = FIELDS.filter(({ isLive }) => isLive).map(
  ({ section, name, kind, choices }) => {
    assert(kind !== 'list' && kind !== 'cpus', 'a live value fits a word');
    return { section, name, choices: kind === 'flag' ? FLAG : choices };
  },
);
