/**
 * What each task sends to VexFS, and what it would send without a flag of INIT. Flags that a mount can be asked to do without are
 * left out and the requests counted again. That OPEN, OPENDIR and FLUSH are declined cannot be left out: what they would
 * be is counted by the task's own system calls (strace), of which each open would be a request and so would each close.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import * as abi from '../../fuse/protocol/abi.ts';
import { run } from '../fuse/mounts.ts';
import { CLI } from '../fuse/peers/peer.ts';
import { vexfsWith } from '../fuse/peers/vexfs.ts';
import { table } from './report.ts';
import type { Task } from './tasks.ts';

const TASK_TIMEOUT_MS = 900_000;
const TRIES = 50;

interface Variant {
  readonly name: string;
  readonly settings?: readonly string[];
  readonly withoutFlags?: number;
}

const AS_IT_IS: Variant = { name: 'as it is' };
const READDIRPLUS = abi.FUSE_DO_READDIRPLUS | abi.FUSE_READDIRPLUS_AUTO;
const VARIANTS: readonly Variant[] = [
  AS_IT_IS,
  {
    name: 'caches of 1 s',
    settings: ['fuse.entry_timeout_s=1', 'fuse.attr_timeout_s=1'],
  },
  { name: 'without READDIRPLUS', withoutFlags: READDIRPLUS },
  { name: 'READDIRPLUS always', withoutFlags: abi.FUSE_READDIRPLUS_AUTO },
  { name: 'without HANDLE_KILLPRIV_V2', withoutFlags: abi.FUSE_HANDLE_KILLPRIV_V2 },
  { name: 'with writeback', settings: ['fuse.writeback=true'] },
];

/** Of the whole mount, by opcode. A mount that has only just come up may not answer yet. */
function counts(directory: string): Map<string, number> {
  let stdout = '';
  for (let tries = 0; stdout === '' && tries < TRIES; tries++)
    stdout = spawnSync(process.execPath, [CLI, 'status', directory, '--json'], { encoding: 'utf8' }).stdout;
  const { opcodes } = JSON.parse(stdout).fuse as { opcodes: Record<string, { count: number }> };
  return new Map(Object.entries(opcodes).map(([name, { count }]) => [name, count]));
}

function difference(before: Map<string, number>, after: Map<string, number>): Map<string, number> {
  return new Map([...after].map(([name, count]) => [name, count - (before.get(name) ?? 0)]));
}

/** Those that somebody waits for: FORGETs come when the kernel likes, and have no answer. */
function total(requests: Map<string, number>): number {
  return [...requests].reduce((sum, [name, count]) => (name.includes('FORGET') ? sum : sum + count), 0);
}

async function perform(task: Task, directory: string, trace?: string): Promise<void> {
  task.prepare?.(directory);
  const wrapped = trace
    ? ['strace', '-f', '-y', '-qq', '-e', 'trace=open,openat,creat,close', '-o', trace, task.command]
    : [task.command];
  const cwd = path.join(directory, task.cwd ?? '.');
  const failed = await run(wrapped[0]!, [...wrapped.slice(1), ...task.args], TASK_TIMEOUT_MS, { cwd });
  if (failed) throw new Error(`${task.name}: ${failed}`);
}

interface Calls {
  files: number;
  directories: number;
  closes: number;
}

/** Opens and closes of what is in `directory`, by what strace wrote. */
export function calls(trace: string, directory: string): Calls {
  const found: Calls = { files: 0, directories: 0, closes: 0 };
  const begun = new Map<string, string>();
  for (const line of trace.split('\n')) {
    const thread = line.slice(0, line.indexOf(' '));
    if (line.endsWith('<unfinished ...>')) begun.set(thread, line);
    const call = line.includes(' resumed>') ? `${begun.get(thread) ?? ''}${line}` : line;
    if (/ close\(\d+</.test(line) && line.includes(`<${directory}/`)) found.closes++;
    const opened = /\) += \d+<([^>]*)>/.exec(line)?.[1];
    if (opened === undefined || !opened.startsWith(`${directory}/`) || line.includes(' close(')) continue;
    if (call.includes('O_DIRECTORY')) found.directories++;
    else found.files++;
  }
  return found;
}

/** What each task costs in one variant; `traced`: its system calls too. */
async function countVariant(workspace: string, tasks: readonly Task[], variant: Variant, traced: boolean) {
  const home = path.join(workspace, variant.name.replaceAll(' ', '-') + (traced ? '-traced' : ''));
  fs.mkdirSync(home);
  const environment = { ...(variant.withoutFlags && { VEXFS_WITHOUT_FLAGS: String(variant.withoutFlags) }) };
  const peer = await vexfsWith(variant.settings ?? [], environment, variant.name).start(home);
  const counted = new Map<string, { requests: Map<string, number>; calls: Calls | undefined }>();
  for (const task of tasks) {
    const trace = path.join(workspace, 'trace');
    const before = counts(peer.directory);
    await perform(task, peer.directory, traced ? trace : undefined);
    const requests = difference(before, counts(peer.directory));
    const made = traced ? calls(fs.readFileSync(trace, 'utf8'), peer.directory) : undefined;
    counted.set(task.name, { requests, calls: made });
    console.error(`${variant.name}, ${task.name}: ${total(requests)} requests`);
  }
  await peer.stop();
  return counted;
}

/** Prints two tables: requests by opcode, and what each choice saves. The programs' preparations are counted with them. */
export async function countRequests(workspace: string, tasks: readonly Task[]): Promise<void> {
  const hasStrace = spawnSync('strace', ['-V']).error === undefined;
  if (!hasStrace)
    console.log('strace is not installed: what declining OPEN, OPENDIR and FLUSH saves is not counted');
  const names = tasks.map(({ name }) => name);
  const plain = await countVariant(workspace, tasks, AS_IT_IS, false);
  const opcodes = [...new Set(names.flatMap((name) => [...plain.get(name)!.requests.keys()]))];
  const perTask = (title: string, by: (name: string) => number | string) => [title, ...names.map(by)];
  console.log(
    table([
      ['requests', ...names],
      perTask('all but FORGET', (name) => total(plain.get(name)!.requests)),
      ...opcodes.map((opcode) => perTask(opcode, (name) => plain.get(name)!.requests.get(opcode) ?? 0)),
    ]),
  );
  const saved: (string | number)[][] = [['more without it', ...names]];
  const more = (variant: string, by: (name: string) => number) =>
    saved.push(perTask(variant, (name) => (by(name) > 0 ? `+${by(name)}` : by(name))));
  if (hasStrace) {
    const traced = await countVariant(workspace, tasks, AS_IT_IS, true);
    const of = (name: string): Calls => traced.get(name)!.calls!;
    const created = (name: string): number => traced.get(name)!.requests.get('CREATE') ?? 0;
    more('OPEN declined (OPEN, RELEASE)', (name) => 2 * (of(name).files - created(name)));
    more('OPENDIR declined (OPENDIR, RELEASEDIR)', (name) => 2 * of(name).directories);
    more('FLUSH declined', (name) => of(name).closes - of(name).directories);
  }
  for (const variant of VARIANTS.slice(1)) {
    const counted = await countVariant(workspace, tasks, variant, false);
    more(variant.name, (name) => total(counted.get(name)!.requests) - total(plain.get(name)!.requests));
  }
  console.log(table(saved));
}
