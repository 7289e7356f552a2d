/** The configuration as a commented TOML file that {@link loadConfig} reads back to the same values. */
import { formatCpuList } from '../system/cpu-list.ts';
import type { Declared, Field } from './fields.ts';
import type { Config } from './schema.ts';
import { formatSize } from './size.ts';

/** Of the JSON Schema, beside the file it describes; the first line of a generated file points there. */
export const SCHEMA_NAME = 'vexfs.schema.json';
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

/** A value of this key as it is written in the file. */
export function literal(field: Field, value: unknown): string {
  if (field.kind === 'cpus') return pins(value as Readonly<Record<string, readonly number[]>>);
  if (field.kind === 'size' && typeof value === 'number') return literal(field, formatSize(value));
  if (typeof value === 'number') return value.toLocaleString('en-US').replaceAll(',', '_');
  if (Array.isArray(value)) return `[${value.map((item) => literal(field, item)).join(', ')}]`;
  // JSON and TOML escape alike, except that TOML forbids a raw DEL.
  return typeof value === 'string' ? JSON.stringify(value).replaceAll('\x7f', '\\u007f') : String(value);
}

function pins(table: Readonly<Record<string, readonly number[]>>): string {
  const entries = Object.entries(table).map(([actors, cpus]) => {
    const list = formatCpuList(cpus);
    return `${JSON.stringify(actors)} = ${cpus.length === 1 ? list : `"${list}"`}`;
  });
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
}

export function valueIn(field: Field, config: Config): unknown {
  return (config[field.section as keyof Config] as Record<string, unknown>)[field.name];
}

function entry(field: Field, config: Config | undefined): string[] {
  const notes = [field.range, field.isLive ? 'live' : ''].filter((note) => note !== '');
  const value = config === undefined ? field.initial : valueIn(field, config);
  return [
    ...comment(`${field.description}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`),
    `${field.name} = ${literal(field, value)}`,
    '',
  ];
}

/** The file for `config`, or the default file. Ends with a newline. */
export function printConfig({ fields, sections }: Declared, config?: Config): string {
  const lines = [
    `#:schema ./${SCHEMA_NAME}`,
    '# Configuration of a VexFS store. Every key may be left out; what is written here by default is what',
    '# then applies. "vexfs config check" finds mistakes. Keys marked "live" apply at "vexfs config reload"',
    '# (or SIGHUP), all others at the next mount.',
    '',
  ];
  for (const section of sections) {
    lines.push(...comment(section.description), `[${section.name}]`, '');
    for (const field of fields) if (field.section === section.name) lines.push(...entry(field, config));
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

/** A table of every key in Markdown, for the documentation. Ends with a newline. */
export function printKeys({ fields }: Declared): string {
  const rows = fields.map((field) => {
    const range = field.range.replaceAll('|', '·');
    const applies = field.isLive ? 'live' : 'next mount';
    const initial = literal(field, field.initial);
    return `| \`${field.key}\` | \`${initial}\` | ${range} | ${applies} | ${field.description} |`;
  });
  const header = ['| key | default | range | applies | what it is |', '| --- | --- | --- | --- | --- |'];
  return `${[...header, ...rows].join('\n')}\n`;
}
