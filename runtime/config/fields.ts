/** The schema as a flat list, which the printed default, the messages and the overrides are made from. */
import { configJsonSchema } from './schema.ts';
import { formatSize } from './size.ts';

export type FieldKind = 'count' | 'size' | 'flag' | 'choice' | 'list';

export interface Field {
  /** As in `--set`: "store.inline_limit", or "placement" outside a section. */
  readonly key: string;
  /** '' for keys outside a section. */
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
}

export interface Section {
  readonly name: string;
  readonly description: string;
}

interface Property {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly size?: { readonly minimum: number; readonly maximum: number };
  readonly properties?: Readonly<Record<string, Property>>;
}

function kindOf(property: Property): FieldKind {
  if (property.size !== undefined) return 'size';
  if (property.enum !== undefined) return 'choice';
  if (property.type === 'boolean') return 'flag';
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
      return 'a list of texts, such as [".git"]';
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
    key: section === '' ? name : `${section}.${name}`,
    section,
    name,
    kind: kindOf(property),
    description: property.description ?? '',
    initial: property.default,
    accepts: acceptsOf(property),
    range: rangeOf(property),
  };
}

function walk(): { fields: Field[]; sections: Section[] } {
  const fields: Field[] = [];
  const sections: Section[] = [];
  for (const [name, property] of Object.entries((configJsonSchema() as Property).properties ?? {})) {
    if (property.properties === undefined) {
      fields.push(fieldOf('', name, property));
      continue;
    }
    sections.push({ name, description: property.description ?? '' });
    for (const [key, inner] of Object.entries(property.properties)) fields.push(fieldOf(name, key, inner));
  }
  return { fields, sections };
}

const { fields, sections } = walk();

/** Every key, those outside a section first (TOML wants them there), then in the order of the schema. */
export const FIELDS: readonly Field[] = fields.toSorted(
  (a, b) => Number(a.section !== '') - Number(b.section !== ''),
);
export const SECTIONS: readonly Section[] = sections;
