/** `npm run bench:store`: see docs/PERFORMANCE.md. */
import fs from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { abortAllOnExit } from '../fuse/mounts.ts';
import type { Effort, Part } from '../runtime/measure.ts';
import { markdown, summarise } from '../runtime/report.ts';
import { batches } from './batches.ts';
import { durable } from './durable.ts';
import { mounting } from './mounting.ts';
import { pause } from './pause.ts';
import { vectors } from './vectors.ts';
import { inWorkspace, mountMissing } from './workspace.ts';
import { written } from './written.ts';

interface Chapter {
  readonly name: string;
  readonly run: (effort: Effort, workspace: string) => Promise<Part>;
}

const CHAPTERS: readonly Chapter[] = [
  { name: 'transactions', run: durable },
  { name: 'vectors', run: vectors },
  { name: 'batches', run: batches },
  { name: 'written', run: written },
  { name: 'mounting', run: mounting },
  { name: 'pause', run: pause },
];
const NAMES = CHAPTERS.map(({ name }) => name);

const USAGE = `npm run bench:store -- [options]
  --rounds N     rounds in which everything is measured once (5)
  --ms N         milliseconds of one measurement (700)
  --only A,B     of ${NAMES.join(', ')} (all)
  --dir DIR      where to work, on the host filesystem to be compared with (${os.tmpdir()})
  --json FILE    also write every sample and row there
  --quick        one short, small round: shows that everything runs, measures nothing`;

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

function parse() {
  const options = {
    rounds: { type: 'string', default: '5' },
    ms: { type: 'string', default: '700' },
    only: { type: 'string', default: NAMES.join(',') },
    dir: { type: 'string', default: os.tmpdir() },
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
const missing = mountMissing();
if (missing !== undefined) fail(`cannot measure a store: ${missing}`);
const effort: Effort = {
  rounds: values.quick ? 1 : wholeNumber('rounds', values.rounds),
  milliseconds: values.quick ? 20 : wholeNumber('ms', values.ms),
  quick: values.quick,
  say: (text) => console.error(text),
};

abortAllOnExit();
const parts: Part[] = [];
const skipped: Record<string, string> = {};
for (const { name, run } of CHAPTERS.filter((chapter) => only.includes(chapter.name))) {
  try {
    parts.push(await inWorkspace(values.dir, (workspace) => run(effort, workspace)));
  } catch (error) {
    skipped[name] = `failed: ${error instanceof Error ? error.message : error}`;
  }
}
const report = summarise(parts, skipped, effort);
if (values.json !== undefined) fs.writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
console.log(markdown(report));
process.exit(Object.keys(skipped).length > 0 ? 1 : 0);
