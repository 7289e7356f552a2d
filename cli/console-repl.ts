/** The interactive console: a prompt with completion, history in a file, and Ctrl-C for what runs. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { LOG_LEVELS } from '../runtime/log.ts';
import { UserError } from '../runtime/user-error.ts';
import { COMMANDS, FAULTS, OWN_COMMANDS, SWITCHES, type WordKind } from './console-commands.ts';
import type { ConsoleLines } from './console-lines.ts';
import type { RunningMount } from './mounts.ts';
import { print, say, style } from './terminal.ts';

const HISTORY_LINES = 1000;

type Names = Readonly<Record<WordKind, readonly string[]>>;

/** What the line can go on with, as readline wants it: the candidates, and the part they replace. */
export function complete(line: string, names: Names): [string[], string] {
  const words = line.split(/\s+/);
  const partial = words.pop() ?? '';
  const typed = words.filter((word) => word !== '');
  const own = typed[0] === 'watch' || typed[0] === 'help' ? typed.slice(1) : typed;
  const candidates = own.length === 0 ? names.command : following(own, names);
  const found = candidates.filter((name) => name.toLowerCase().startsWith(partial.toLowerCase()));
  return [found.length === 1 ? [`${found[0]} `] : found, partial];
}

function following([name = '', ...words]: readonly string[], names: Names): readonly string[] {
  const kinds = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]!.words : [];
  const last = kinds.at(-1);
  const kind = kinds[words.length] ?? (last === 'kind' ? last : undefined);
  return kind === undefined ? [] : names[kind];
}

/** Returns when the user leaves. */
export async function runRepl(lines: ConsoleLines, mount: RunningMount): Promise<void> {
  // Whether the mount answers at all, before a prompt promises it.
  const { actors = [], kinds = [] } = (await lines.names()) ?? {};
  const command = [...Object.keys(COMMANDS), ...Object.keys(OWN_COMMANDS)];
  const names: Names = {
    actor: actors,
    kind: kinds,
    level: LOG_LEVELS,
    fault: FAULTS,
    switch: SWITCHES,
    command,
  };
  print(`console of ${mount.directory}; "help" lists the commands, Ctrl-D leaves`);
  const prompt = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: style('bold', 'vexfs> '),
    completer: (line: string) => complete(line, names),
    history: readHistory(),
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
  });
  prompt.on('history', writeHistory);
  await converse(prompt, lines);
}

/** One line after the other; Ctrl-C ends what runs, or takes back what was typed. */
async function converse(prompt: Interface, lines: ConsoleLines): Promise<void> {
  let running: AbortController | undefined;
  prompt.on('SIGINT', () => {
    if (running) running.abort();
    else {
      print();
      prompt.write(null, { ctrl: true, name: 'u' });
      prompt.prompt();
    }
  });
  prompt.on('close', () => running?.abort());
  prompt.prompt();
  for await (const line of prompt) {
    if (/^\s*(quit|exit)\s*$/.test(line)) break;
    running = new AbortController();
    await lines.run(line, running.signal).catch(complain);
    running = undefined;
    prompt.prompt();
  }
  prompt.close();
}

function complain(error: unknown): void {
  if (!(error instanceof UserError)) throw error;
  say(error.message);
}

function historyFile(): string {
  const state = process.env.XDG_STATE_HOME;
  return join(
    state?.startsWith('/') ? state : join(homedir(), '.local', 'state'),
    'vexfs',
    'console_history',
  );
}

/** Newest first, as readline wants it. */
function readHistory(): string[] {
  try {
    return readFileSync(historyFile(), 'utf8').split('\n').filter(Boolean).slice(-HISTORY_LINES).reverse();
  } catch {
    return [];
  }
}

/** A home that cannot be written to costs the history and nothing else. */
function writeHistory(lines: readonly string[]): void {
  const file = historyFile();
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, `${[...lines].reverse().join('\n')}\n`, { mode: 0o600 });
    chmodSync(file, 0o600);
  } catch {
    // As said.
  }
}
