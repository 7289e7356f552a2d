/**
 * Configuration from, in rising precedence: the defaults, a TOML file, the environment
 * (VEXFS_SECTION_KEY) and overrides (`section.key=value`). All problems are found at once.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { closest, distance } from 'fastest-levenshtein';
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { UserError } from '../user-error.ts';
import { CONFIG_FILE_MAX, MIB } from './bounds.ts';
import { FIELDS, type Field, SECTIONS } from './fields.ts';
import { locateKeys, type Place } from './locate.ts';
import { type Config, configSchema } from './schema.ts';

export interface ConfigProblem {
  /** The file, "--set" or "environment". */
  readonly source: string;
  /** From 1; 0 where the value does not stand in a file. */
  readonly line: number;
  readonly column: number;
  /** "store.inline_limit"; '' for a problem of the whole file. */
  readonly key: string;
  /** A sentence without a full stop: the value and what is allowed. */
  readonly message: string;
  /** The valid key an unknown one probably means. */
  readonly nearest?: string;
}

export interface ConfigSources {
  readonly file?: { readonly name: string; readonly text: string };
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Each "section.key=value". */
  readonly set?: readonly string[];
}

export type LoadedConfig =
  | { readonly config: Config; readonly problems: readonly [] }
  | { readonly config: undefined; readonly problems: readonly ConfigProblem[] };

type Table = Record<string, unknown>;

const KEYS = FIELDS.map((field) => field.key);
const FIELD_OF = new Map(FIELDS.map((field) => [field.key, field]));
const SECTION_NAMES = SECTIONS.map((section) => section.name);
/** "placement" → "placement.mode": what is meant by a section that is written as a plain value. */
const SHORTHANDS = new Map(
  SECTIONS.filter(({ shorthand }) => shorthand !== '').map(({ name, shorthand }) => [
    name,
    `${name}.${shorthand}`,
  ]),
);
const OVERRIDABLE = new Map([...KEYS.map((key) => [key, key] as const), ...SHORTHANDS]);
const ENVIRONMENT_KEYS = new Map([...OVERRIDABLE].map(([name, key]) => [environmentName(name), key]));

/** "store.inline_limit" → "VEXFS_STORE_INLINE_LIMIT". */
function environmentName(key: string): string {
  return `VEXFS_${key.replace('.', '_').toUpperCase()}`;
}

const NO_TRANSPORT =
  'there is no choice of transport: fuse-native was tried and cannot carry what VexFS promises (docs/TRANSPORTS.md); leave the key out';
/** Keys that one could expect, and why they are not there. */
const NOT_OFFERED: ReadonlyMap<string, string> = new Map(
  ['transport', 'fuse.transport'].map((key) => [key, NO_TRANSPORT]),
);

/** A valid key to suggest. The last part counts most: people remember the name better than the section. */
function nearestKey(key: string): string {
  const name = key.split('.').at(-1)!;
  const sameName = FIELDS.find((field) => field.name === name);
  return sameName?.key ?? closest(key, [...KEYS, ...SECTION_NAMES]);
}

function show(value: unknown): string {
  const text = written(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** A value about as it stands in the file: JSON knows neither nan nor whole numbers of any length. */
function written(value: unknown): string {
  if (typeof value === 'number' && !Number.isFinite(value)) return tomlNumber(value);
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return `[${value.map(written).join(',')}]`;
  if (!isTable(value)) return JSON.stringify(value) ?? String(value);
  const entries = Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}:${written(inner)}`);
  return `{${entries.join(',')}}`;
}

function tomlNumber(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  return value > 0 ? 'inf' : '-inf';
}

class Collector {
  readonly problems: ConfigProblem[] = [];
  readonly values: Table = Object.create(null) as Table;
  /** Where the value of a key that will be reported comes from. */
  readonly #origins = new Map<string, string>();
  readonly #file: string;
  #places: ReadonlyMap<string, Place> = new Map();

  constructor(file: string) {
    this.#file = file;
  }

  readFile(text: string): void {
    try {
      Object.assign(this.values, parse(text, { integersAsBigInt: 'asNeeded', unsafeKeyBehaviour: 'throw' }));
      this.#places = locateKeys(text);
      for (const [name, key] of SHORTHANDS) {
        const value = this.values[name];
        if (isScalar(value)) this.values[name] = { [key.slice(name.length + 1)]: value };
      }
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      const message = error.message.split('\n')[0]!.replace(/^Invalid TOML document: /, 'not valid TOML: ');
      this.problems.push({ source: this.#file, line: error.line, column: error.column, key: '', message });
    }
  }

  /** @param entry of the table that is the key's value; without it the whole value */
  override(source: string, key: string, text: string, entry?: string): void {
    const field = FIELD_OF.get(key)!;
    this.#origins.set(key, source);
    const given = fromText(text, field.kind === 'list');
    const value = entry === undefined ? given : { ...this.#tableAt(field), [entry]: given };
    const table = this.values[field.section];
    // Not a table in the file: leave it, the schema reports it.
    if (table !== undefined && !isTable(table)) return;
    this.values[field.section] = { ...table, [field.name]: value };
  }

  #tableAt({ section, name }: Field): Table {
    const table = this.values[section];
    const value = isTable(table) ? table[name] : undefined;
    return isTable(value) ? value : {};
  }

  unknownKey(source: string, key: string, place?: Place): void {
    const isQuoted = OVERRIDABLE.has(key);
    const reason = NOT_OFFERED.get(key);
    const message = isQuoted
      ? `"${key}" in quotes is a single name: leave the quotes out`
      : (reason ?? `unknown key "${key}"`);
    const hint = isQuoted || reason !== undefined ? {} : { nearest: nearestKey(key) };
    this.problems.push({ ...this.#at(source, place), key, message, ...hint });
  }

  schemaIssue(issue: z.core.$ZodIssue): void {
    const path = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') {
      for (const name of issue.keys) {
        const key = [...path, name].join('.');
        this.unknownKey(this.#file, key, this.#places.get(key));
      }
      return;
    }
    const field = FIELD_OF.get(path.slice(0, 2).join('.'));
    const key = field?.key ?? path.join('.');
    const source = this.#origins.get(key) ?? this.#file;
    const value = path
      .slice(0, 2)
      .reduce<unknown>((table, name) => (isTable(table) ? table[name] : undefined), this.values);
    const wanted = field?.accepts ?? 'a section, with its keys on the lines below';
    const message = isContradiction(issue) ? issue.message : `${key} is ${show(value)}; it must be ${wanted}`;
    this.problems.push({ ...this.#at(source, this.#placeOf(path)), key, message });
  }

  /** Of the innermost part of a path that is written down. */
  #placeOf(path: readonly string[]): Place | undefined {
    for (let parts = path.length; parts > 0; parts--) {
      const place = this.#places.get(path.slice(0, parts).join('.'));
      if (place !== undefined) return place;
    }
    return undefined;
  }

  #at(source: string, place: Place | undefined): Pick<ConfigProblem, 'source' | 'line' | 'column'> {
    const inFile = source === this.#file ? place : undefined;
    return { source, line: inFile?.line ?? 0, column: inFile?.column ?? 0 };
  }
}

/** Relations between keys carry a whole sentence; everything else is about one value. */
function isContradiction(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'custom' && issue.params?.contradiction === true;
}

function isScalar(value: unknown): boolean {
  return value !== undefined && !isTable(value) && !Array.isArray(value);
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** A TOML value where it is one ("4", "true", '["a"]'), else the text itself; a list may be written "a,b". */
function fromText(text: string, list: boolean): unknown {
  let value: unknown = text;
  try {
    const parsed = parse(`value = ${text}`);
    if (Object.keys(parsed).length === 1 && !(parsed.value instanceof Date)) value = parsed.value;
  } catch {
    value = text;
  }
  return list && typeof value === 'string' ? value.split(',').filter((item) => item !== '') : value;
}

function applyEnvironment(
  collector: Collector,
  environment: NonNullable<ConfigSources['environment']>,
): void {
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith('VEXFS_') || text === undefined) continue;
    const key = ENVIRONMENT_KEYS.get(name);
    if (key !== undefined) {
      collector.override(name, key, text);
      continue;
    }
    // Other programs may use the prefix; only what looks like a slip of the pen is reported.
    const nearest = closest(name, [...ENVIRONMENT_KEYS.keys()]);
    if (distance(name, nearest) > 2) continue;
    const message = `unknown environment variable ${name}`;
    collector.problems.push({ source: 'environment', line: 0, column: 0, key: name, message, nearest });
  }
}

function applySet(collector: Collector, set: readonly string[]): void {
  for (const text of set) {
    const equals = text.indexOf('=');
    const key = text.slice(0, Math.max(equals, 0)).trim();
    if (equals <= 0) {
      const message = `"${text}" is not key=value, such as workers.fuse=4`;
      collector.problems.push({ source: '--set', line: 0, column: 0, key: '', message });
      continue;
    }
    const value = text.slice(equals + 1).trim();
    const table = FIELDS.find((field) => field.kind === 'cpus' && key.startsWith(`${field.key}.`));
    if (OVERRIDABLE.has(key)) collector.override('--set', OVERRIDABLE.get(key)!, value);
    else if (table) collector.override('--set', table.key, value, key.slice(table.key.length + 1));
    else collector.unknownKey('--set', key);
  }
}

export function parseConfig(sources: ConfigSources): LoadedConfig {
  const collector = new Collector(sources.file?.name ?? '');
  if (sources.file !== undefined) collector.readFile(sources.file.text);
  applyEnvironment(collector, sources.environment ?? {});
  applySet(collector, sources.set ?? []);
  const result = configSchema.safeParse({ ...collector.values });
  if (!result.success) for (const issue of result.error.issues) collector.schemaIssue(issue);
  if (result.success && collector.problems.length === 0) return { config: result.data, problems: [] };
  return { config: undefined, problems: collector.problems.toSorted((a, b) => a.line - b.line) };
}

/** "vexfs.toml:3:1: unknown key "workers.fus"; did you mean "workers.fuse"?" */
export function describeProblem(problem: ConfigProblem): string {
  const place = problem.line > 0 ? `${problem.source}:${problem.line}:${problem.column}` : problem.source;
  const hint = problem.nearest === undefined ? '' : `; did you mean "${problem.nearest}"?`;
  return `${place === '' ? '' : `${place}: `}${problem.message}${hint}`;
}

export interface LoadOptions {
  /** A file that must exist (`--config`). */
  readonly file?: string;
  /** A file that is read if it exists (the store's vexfs.toml); ignored when `file` is given. */
  readonly fallback?: string;
  readonly environment?: ConfigSources['environment'];
  readonly set?: readonly string[];
}

/** Reads and parses. @throws {UserError} if a file cannot be read. */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const file = readConfigFile(options.file ?? options.fallback, options.file !== undefined);
  return parseConfig({
    ...(file === undefined ? {} : { file }),
    environment: options.environment ?? {},
    set: options.set ?? [],
  });
}

function readConfigFile(name: string | undefined, required: boolean): ConfigSources['file'] {
  if (name === undefined) return undefined;
  try {
    return { name, text: readBounded(name) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !required) return undefined;
    if (error instanceof UserError) throw error;
    throw new UserError(
      code === 'ENOENT'
        ? `the configuration file ${name} does not exist; "vexfs config print > ${name}" writes one`
        : `the configuration file ${name} ${UNREADABLE[code ?? ''] ?? `cannot be read (${code})`}`,
    );
  }
}

const UNREADABLE: Readonly<Record<string, string>> = {
  EACCES: 'may not be read by this user',
  EISDIR: 'is a directory',
  ENOTDIR: 'lies below something that is not a directory',
};

/** The text of a file that may be a pipe, or one that never ends. */
function readBounded(name: string): string {
  const descriptor = openSync(name, 'r');
  try {
    const bytes = Buffer.alloc(CONFIG_FILE_MAX + 1);
    let length = 0;
    for (let got = -1; got !== 0 && length < bytes.length; length += got)
      got = readSync(descriptor, bytes, length, bytes.length - length, null);
    if (length <= CONFIG_FILE_MAX) return bytes.toString('utf8', 0, length);
    throw new UserError(`the configuration file ${name} is larger than ${CONFIG_FILE_MAX / MIB} MiB`);
  } finally {
    closeSync(descriptor);
  }
}

/** The configuration to run with. @throws {UserError} naming every problem, one a line. */
export function requireConfig(options: LoadOptions): Config {
  const { config, problems } = loadConfig(options);
  if (config !== undefined) return config;
  throw new UserError(problems.map(describeProblem).join('\n'));
}
