/** The configuration as a commented TOML file that {@link loadConfig} reads back to the same values. */
import { FIELDS, type Field, SECTIONS } from './fields.ts';
import type { Config } from './schema.ts';
import { formatSize } from './size.ts';

const COMMENT_WIDTH = 100;

function comment(text: string): string[] {
  const lines: string[] = [];
  let line = '#';
  for (const word of text.split(' ')) {
    if (line.length + word.length + 1 > COMMENT_WIDTH) {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  lines.push(line);
  return lines;
}

function literal(field: Field, value: unknown): string {
  if (field.kind === 'size' && typeof value === 'number') return literal(field, formatSize(value));
  if (typeof value === 'number') return value.toLocaleString('en-US').replaceAll(',', '_');
  if (Array.isArray(value)) return `[${value.map((item) => literal(field, item)).join(', ')}]`;
  // JSON and TOML escape alike, except that TOML forbids a raw DEL.
  return typeof value === 'string' ? JSON.stringify(value).replaceAll('\x7f', '\\u007f') : String(value);
}

function currentValue(field: Field, config: Config | undefined): unknown {
  if (config === undefined) return field.initial;
  const table = (field.section === '' ? config : config[field.section as keyof Config]) as Record<
    string,
    unknown
  >;
  return table[field.name];
}

function entry(field: Field, config: Config | undefined): string[] {
  const range = field.range === '' ? '' : ` (${field.range})`;
  return [
    ...comment(`${field.description}${range}`),
    `${field.name} = ${literal(field, currentValue(field, config))}`,
    '',
  ];
}

/** The file for `config`, or the default file. Ends with a newline. */
export function printConfig(config?: Config): string {
  const lines = [
    '# Configuration of a VexFS store. Every key may be left out; what is written here by default is what',
    '# then applies. "vexfs config check" finds mistakes; a change takes effect at the next mount.',
    '',
  ];
  for (const field of FIELDS) if (field.section === '') lines.push(...entry(field, config));
  for (const section of SECTIONS) {
    lines.push(...comment(section.description), `[${section.name}]`, '');
    for (const field of FIELDS) if (field.section === section.name) lines.push(...entry(field, config));
  }
  return `${lines.join('\n').trimEnd()}\n`;
}
