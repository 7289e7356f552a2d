import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { UserError } from '../runtime/user-error.ts';
import { collect } from './arguments.ts';
import { ConsoleUsage, helpLines } from './console-commands.ts';
import { ConsoleLines } from './console-lines.ts';
import { runRepl } from './console-repl.ts';
import { findMount } from './mounts.ts';
import { say, table } from './terminal.ts';

const HELP = `
Commands:
${table(helpLines().map(({ usage, about }) => [`  ${usage}`, about])).join('\n')}

Without -c it asks for commands: Tab completes them, the arrow keys bring earlier ones back, Ctrl-C ends a command that
goes on. Lines that are piped in are run one after the other.

Examples:
  vexfs console ~/notes
  vexfs console ~/notes -c actors --json | jq '.[] | select(.state != "ready")'
  vexfs console ~/notes -c "tail io-0 SYNC -n 5"
  vexfs console ~/notes -c "pause indexer" -c "mailbox indexer" -c "resume indexer"`;

interface ConsoleOptions {
  readonly command: string[];
  readonly json?: true;
}

export function addConsole(program: Command): void {
  program
    .command('console')
    .summary('look into a running mount')
    .description(
      'Look into the threads of a running mount, and give them orders. Only the owner of the store may.',
    )
    .argument('[dir]', 'where it is mounted, or any path inside')
    .option('-c, --command <command>', 'run this and leave; may be given several times', collect, [])
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(async (directory: string | undefined, options: ConsoleOptions, command: Command) => {
      try {
        await runConsole(directory, options);
      } catch (error) {
        if (!(error instanceof ConsoleUsage)) throw error;
        command.error(`error: ${error.message}`);
      }
    });
}

async function runConsole(directory: string | undefined, { command, json }: ConsoleOptions): Promise<void> {
  const mount = findMount({ mount: directory });
  const lines = new ConsoleLines(mount, json === true);
  if (command.length === 0 && process.stdin.isTTY) return runRepl(lines, mount);
  const ended = endOfInterest();
  if (command.length === 0) return runLines(lines, ended);
  for (const line of command) if (!ended.aborted) await lines.run(line, ended);
}

/** Lines that are piped in: one that fails is told, and the next is run; the exit code says so in the end. */
async function runLines(lines: ConsoleLines, ended: AbortSignal): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    if (ended.aborted || /^\s*(quit|exit)\s*$/.test(line)) return;
    await lines.run(line, ended).catch((error: unknown) => {
      if (!(error instanceof UserError)) throw error;
      say(error.message);
      process.exitCode = error instanceof ConsoleUsage ? 2 : 1;
    });
  }
}

/** Ctrl-C, or nobody reads any more. */
function endOfInterest(): AbortSignal {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  process.once('SIGINT', end);
  process.stdout.once('error', end);
  return ended.signal;
}
