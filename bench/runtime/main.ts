/** `npm run bench:runtime`: see docs/PERFORMANCE.md. */
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { abortAllOnExit } from '../fuse/mounts.ts';
import { embedding } from './embedding.ts';
import { lookupScaling, lookupsMissing } from './lookups.ts';
import type { Effort, Part } from './measure.ts';
import { messaging } from './messaging.ts';
import { markdown, summarise } from './report.ts';
import { simulation } from './simulation.ts';
import { stealing } from './stealing.ts';

interface Chapter {
  readonly name: string;
  readonly missing?: () => string | undefined;
  readonly run: (effort: Effort) => Part | Promise<Part>;
}

const CHAPTERS: readonly Chapter[] = [
  { name: 'messages', run: messaging },
  { name: 'stealing', run: stealing },
  { name: 'simulation', run: simulation },
  { name: 'embedding', run: embedding },
  { name: 'lookups', missing: lookupsMissing, run: lookupScaling },
];
const NAMES = CHAPTERS.map(({ name }) => name);

const USAGE = `npm run bench:runtime -- [options]
  --rounds N     rounds in which everything is measured once (7)
  --ms N         milliseconds of one measurement (500)
  --only A,B     of ${NAMES.join(', ')} (all)
  --json FILE    also write every sample and row there
  --quick        one short round: shows that everything runs, measures nothing`;

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

function parse() {
  const options = {
    rounds: { type: 'string', default: '7' },
    ms: { type: 'string', default: '500' },
    only: { type: 'string', default: NAMES.join(',') },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  } as const;
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return fail(`${(error as Error).message}\n${USAGE}`);
  }
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  return Number.isInteger(value) && value >= 1
    ? value
    : fail(`--${option} wants a whole number from 1, not '${text}'`);
}

const values = parse();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const only = values.only.split(',');
const unknown = only.find((name) => !NAMES.includes(name));
if (unknown !== undefined) fail(`'${unknown}' is not one of ${NAMES.join(', ')}`);
const effort: Effort = {
  rounds: values.quick ? 1 : wholeNumber('rounds', values.rounds),
  milliseconds: values.quick ? 20 : wholeNumber('ms', values.ms),
  quick: values.quick,
  say: (text) => console.error(text),
};

abortAllOnExit();
const parts: Part[] = [];
const skipped: Record<string, string> = {};
for (const { name, missing, run } of CHAPTERS.filter((chapter) => only.includes(chapter.name))) {
  const reason = missing?.();
  if (reason === undefined) parts.push(await run(effort));
  else skipped[name] = reason;
}
const report = summarise(parts, skipped, effort);
if (values.json !== undefined) fs.writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
console.log(markdown(report));
process.exit(0);
