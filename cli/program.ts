/** The command line: which commands there are, and how a failure becomes a sentence and an exit code. */
import { Command, CommanderError } from 'commander';
import { version } from '../actors/version.ts';
import { UserError } from '../runtime/user-error.ts';
import { describeSystemError } from './system-errors.ts';
import { harmless, hasPrintedJson, printJson, say } from './terminal.ts';

const OK = 0;
export const FAILED = 1;
export const USAGE = 2;

const ABOUT = `VexFS is a filesystem in which files are found by meaning.

Mount a store at a directory, work in it with any program, and ask for files by what they are about.`;

const EXAMPLES = `
Examples:
  vexfs mount ~/notes.vexfs ~/notes            create the store if it is new, and mount it
  vexfs search how do I rotate the keys        search the mount that contains this directory
  ls ~/notes/.vexfs/search/"dinner ideas"/     the same from any program, as links
  vexfs status                                 what the mount is doing
  vexfs umount ~/notes                         unmount; everything is on disk when it returns

Exit codes: 0 done, 1 failed (one sentence on stderr says why), 2 the command was not understood.
"vexfs COMMAND --help" explains a command. NO_COLOR=1 turns colours off.
"--json" prints for programs; what failed is then {"error": "the sentence"}, if nothing was printed before.`;

/**
 * In the order of the help. A module is loaded when its command is asked for: loading all of them takes longer than most
 * commands.
 */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  mount: async () => (await import('./mount.ts')).addMount,
  umount: async () => (await import('./umount.ts')).addUmount,
  status: async () => (await import('./status.ts')).addStatus,
  search: async () => (await import('./search.ts')).addSearch,
  similar: async () => (await import('./similar.ts')).addSimilar,
  index: async () => (await import('./index.ts')).addIndex,
  vector: async () => (await import('./vector.ts')).addVector,
  collection: async () => (await import('./collection.ts')).addCollection,
  checkpoint: async () => (await import('./checkpoint.ts')).addCheckpoint,
  console: async () => (await import('./console.ts')).addConsole,
  top: async () => (await import('./top.ts')).addTop,
  config: async () => (await import('./config.ts')).addConfig,
  doctor: async () => (await import('./doctor.ts')).addDoctor,
  check: async () => (await import('./check.ts')).addCheck,
  backup: async () => (await import('./backup.ts')).addBackup,
};

/** Whether the command that runs was asked for JSON. */
let wantsJson = false;

/** With the command that is named `wanted`; with all of them, to be listed or suggested, if none is. */
async function createProgram(wanted: string): Promise<Command> {
  const program = new Command('vexfs')
    .description(ABOUT)
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'explain a command')
    .helpCommand(false)
    .showHelpAfterError('("vexfs --help" lists the commands, "vexfs COMMAND --help" explains one)')
    .configureOutput({
      outputError: (text, write) => write(harmless(text.replace(/^error: /, 'vexfs: '), process.stderr)),
    })
    .exitOverride()
    .hook('preAction', (_, command) => {
      wantsJson = command.opts().json === true;
    })
    .addHelpText('after', EXAMPLES);
  const names = Object.hasOwn(COMMANDS, wanted) ? [wanted] : Object.keys(COMMANDS);
  for (const name of names) (await COMMANDS[name]!())(program);
  return program;
}

/** Runs one command and answers the exit code of the process. */
export async function run(args: readonly string[]): Promise<number> {
  process.exitCode = OK;
  try {
    const program = await createProgram(args[0] ?? '');
    // "--help" after a command that does not exist is no wish for the list of all.
    const isKnown = program.commands.some((one) => [one.name(), ...one.aliases()].includes(args[0] ?? ''));
    const isOption = args[0]?.startsWith('-') !== false;
    await program.parseAsync(isKnown || isOption ? args : args.slice(0, 1), { from: 'user' });
    return Number(process.exitCode);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? OK : USAGE;
    const sentence = error instanceof UserError ? error.message : describeSystemError(error);
    if (sentence === undefined) throw error;
    for (const line of sentence.split('\n')) say(line);
    if (wantsJson && !hasPrintedJson()) printJson({ error: sentence });
    return FAILED;
  }
}
