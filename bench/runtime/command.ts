/** The command line of a bench in chapters: what to measure, how often and how long, and where the report goes. */
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import type { Effort, Part } from './measure.ts';
import { markdown, summarise } from './report.ts';

export interface Chapter {
  readonly name: string;
  /** Why it cannot be measured here, if it cannot. */
  readonly missing?: () => string | undefined;
  readonly run: (effort: Effort) => Part | Promise<Part>;
}

export interface Command {
  /** As in `npm run NAME`. */
  readonly name: string;
  readonly chapters: readonly Chapter[];
  readonly rounds: number;
  readonly milliseconds: number;
  /** Options of its own, by name, with a default and a line of help. */
  readonly options?: Readonly<Record<string, { readonly default: string; readonly help: string }>>;
}

function usage({ name, chapters, rounds, milliseconds, options = {} }: Command): string {
  const own = Object.entries(options).map(([option, { help }]) => `  --${option.padEnd(13)}${help}\n`);
  return `npm run ${name} -- [options]
  --rounds N     rounds in which everything is measured once (${rounds})
  --ms N         milliseconds of one measurement (${milliseconds})
  --only A,B     of ${chapters.map((chapter) => chapter.name).join(', ')} (all)
${own.join('')}  --json FILE    also write every sample and row there
  --quick        one short, small round: shows that everything runs, measures nothing`;
}

/** Says what is wrong, and ends with the code for a command that was not understood. */
export function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) refuse(`--${option} wants a whole number from 1, not '${text}'`);
  return value;
}

interface Parsed {
  readonly effort: Effort;
  readonly only: readonly string[];
  readonly json: string | undefined;
  /** Values of the command's own options. */
  readonly own: Readonly<Record<string, string>>;
}

export function parse(command: Command): Parsed {
  const { chapters, rounds, milliseconds, options = {} } = command;
  const names = chapters.map(({ name }) => name);
  const own = Object.fromEntries(
    Object.entries(options).map(
      ([name, option]) => [name, { type: 'string', default: option.default }] as const,
    ),
  );
  const known = {
    rounds: { type: 'string', default: String(rounds) },
    ms: { type: 'string', default: String(milliseconds) },
    only: { type: 'string', default: names.join(',') },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  } as const;
  const values = understood(command, { ...own, ...known });
  const only = String(values.only).split(',');
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) refuse(`'${unknown}' is not one of ${names.join(', ')}`);
  const quick = values.quick === true;
  return {
    effort: {
      rounds: quick ? 1 : wholeNumber('rounds', String(values.rounds)),
      milliseconds: quick ? 20 : wholeNumber('ms', String(values.ms)),
      quick,
      say: (text) => console.error(text),
    },
    only,
    json: values.json === undefined ? undefined : String(values.json),
    own: Object.fromEntries(Object.keys(options).map((name) => [name, String(values[name])])),
  };
}

function understood(
  command: Command,
  options: NonNullable<Parameters<typeof parseArgs>[0]>['options'],
): Record<string, unknown> {
  try {
    const { values } = parseArgs({ options: options ?? {} });
    if (values.help !== true) return values;
    console.log(usage(command));
    process.exit(0);
  } catch (error) {
    refuse(`${(error as Error).message}\n${usage(command)}`);
  }
}

/** Measures what was asked for and prints the report; what failed is in it, too. Whether nothing failed. */
export async function measure(
  chapters: readonly Chapter[],
  { effort, only, json }: Parsed,
): Promise<boolean> {
  const parts: Part[] = [];
  const skipped: Record<string, string> = {};
  let failed = false;
  for (const { name, missing, run } of chapters.filter((chapter) => only.includes(chapter.name))) {
    const reason = missing?.();
    if (reason !== undefined) {
      skipped[name] = reason;
      continue;
    }
    try {
      parts.push(await run(effort));
    } catch (error) {
      failed = true;
      skipped[name] = `failed: ${error instanceof Error ? error.message : error}`;
    }
  }
  const report = summarise(parts, skipped, effort);
  if (json !== undefined) fs.writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  console.log(markdown(report));
  return !failed;
}
