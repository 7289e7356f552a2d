/** The command line: which commands there are, and how a failure becomes a sentence and an exit code. */
import { Command, CommanderError } from 'commander';
import { version } from '../actors/version.ts';
import { UserError } from '../runtime/user-error.ts';
import { addBackup } from './backup.ts';
import { addCheck } from './check.ts';
import { addCheckpoint } from './checkpoint.ts';
import { addCollection } from './collection.ts';
import { addConfig } from './config.ts';
import { addConsole } from './console.ts';
import { addDoctor } from './doctor.ts';
import { addIndex } from './index.ts';
import { addMount } from './mount.ts';
import { addSearch } from './search.ts';
import { addSimilar } from './similar.ts';
import { addStatus } from './status.ts';
import { say } from './terminal.ts';
import { addTop } from './top.ts';
import { addUmount } from './umount.ts';
import { addVector } from './vector.ts';

export const OK = 0;
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
"vexfs COMMAND --help" explains a command. "--json" prints for programs. NO_COLOR=1 turns colours off.`;

function createProgram(): Command {
  const program = new Command('vexfs')
    .description(ABOUT)
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'explain a command')
    .helpCommand(false)
    .showHelpAfterError('("vexfs --help" lists the commands, "vexfs COMMAND --help" explains one)')
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'vexfs: ')) })
    .exitOverride()
    .addHelpText('after', EXAMPLES);
  addMount(program);
  addUmount(program);
  addStatus(program);
  addSearch(program);
  addSimilar(program);
  addIndex(program);
  addVector(program);
  addCollection(program);
  addCheckpoint(program);
  addConsole(program);
  addTop(program);
  addConfig(program);
  addDoctor(program);
  addCheck(program);
  addBackup(program);
  return program;
}

/** Runs one command and answers the exit code of the process. */
export async function run(args: readonly string[]): Promise<number> {
  process.exitCode = OK;
  try {
    await createProgram().parseAsync(args, { from: 'user' });
    return Number(process.exitCode);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? OK : USAGE;
    if (!(error instanceof UserError)) throw error;
    for (const line of error.message.split('\n')) say(line);
    return FAILED;
  }
}
