/** stress-ng: one stressor at a time in a directory, and what came of it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

/** A stressor that has been asked to end may still be at work on one large step. */
const GRACE_S = 120;

/**
 * Stressors of other classes that work on files of the directory: those of class `filesystem` are asked of the program.
 */
export const BEYOND_THE_CLASS =
  'aio aiol io-uring mmap mmapaddr mmapfork mmapmany msync mmaphuge readahead revio seek sendfile splice tee vm-splice'.split(
    ' ',
  );

/** `nothing`: what it needs is not offered (it says what); `unfinished`: not even one of its loops was over in time. */
export type Verdict = 'passed' | 'failed' | 'nothing' | 'unfinished' | 'hung';

export interface Outcome {
  readonly verdict: Verdict;
  /** Bogo operations a second, of all its workers together. */
  readonly rate: number;
  /** What it complained of, without process numbers, each sentence once. */
  readonly said: readonly string[];
}

/** The class `filesystem`, as this version of stress-ng has it; undefined if there is no stress-ng. */
export function filesystemStressors(): string[] | undefined {
  const { stdout, stderr, error } = spawnSync('stress-ng', ['--class', 'filesystem?'], { encoding: 'utf8' });
  if (error) return undefined;
  return (
    /stressors: (.*)/
      .exec(stdout + stderr)?.[1]
      ?.trim()
      .split(' ') ?? []
  );
}

export function stressNgVersion(): string {
  return (
    /version ([\d.]+)/.exec(spawnSync('stress-ng', ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? '?'
  );
}

function complaints(output: string): string[] {
  const found = output
    .split('\n')
    .filter((line) => /: (fail|error|warn): |not supported|not implemented|skipping|cannot/.test(line))
    .map((line) =>
      line.replace(/^stress-ng: (\w+): +\[\d+\] (\S+: )?/, '$1: ').replaceAll(/\b\d{3,}\b/g, 'N'),
    );
  return [...new Set(found)].slice(0, 6);
}

async function output(
  child: ChildProcess,
  limitMs: number,
): Promise<{ text: string; code: number | null; hung: boolean }> {
  let text = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (text += chunk));
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL'); // its group, of which it is the leader
  }, limitMs);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  return { text, code, hung };
}

export async function stress(
  stressor: string,
  workers: number,
  seconds: number,
  directory: string,
): Promise<Outcome> {
  const args = [`--${stressor}`, String(workers), '-t', String(seconds), '--verify', '--metrics'];
  const child = spawn('stress-ng', [...args, '--temp-path', directory], { stdio: 'pipe', detached: true });
  const { text, code, hung } = await output(child, (seconds + GRACE_S) * 1000);
  const metrics = new RegExp(`\\] ${stressor} +(\\d+) +[\\d.]+ +[\\d.]+ +[\\d.]+ +([\\d.]+)`).exec(text);
  const rate = Number(metrics?.[2] ?? 0);
  const said = complaints(text);
  if (hung) return { verdict: 'hung', rate, said };
  const skipped = /skipping stress|implemented|No stress workers invoked/.test(text);
  if (code === 2 || /stress-ng: fail:/.test(text)) return { verdict: 'failed', rate, said };
  if (skipped) return { verdict: 'nothing', rate, said };
  if (code !== 0) return { verdict: 'failed', rate, said };
  if (Number(metrics?.[1] ?? 0) === 0) return { verdict: 'unfinished', rate, said };
  return { verdict: 'passed', rate, said };
}
