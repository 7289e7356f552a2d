import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { UserError } from '../runtime/user-error.ts';
import { collect } from './arguments.ts';
import { findMount, withMount } from './mounts.ts';
import { describeReload } from './reload-report.ts';
import { plural, print, printJson, withHeader } from './terminal.ts';

interface Options {
  readonly set: string[];
  readonly json?: true;
}

const HELP = `
A store is configured by STORE/vexfs.toml, or by the file named with "vexfs mount --config FILE". Environment
variables such as VEXFS_WORKERS_FUSE=4 override the file, "--set workers.fuse=4" overrides both.

Examples:
  vexfs config print > ~/notes.vexfs/vexfs.toml    write the commented default file
  vexfs config print ~/notes.vexfs --json          the values that a mount of this store would use
  vexfs config check ~/notes.vexfs                 find mistakes, with their lines
  vexfs config keys                                every key with its range, and whether it is live
  vexfs config reload ~/notes                      apply what changed in the file to the running mount
  vexfs config schema > vexfs.schema.json          for completion in an editor`;

export function addConfig(program: Command): void {
  const config = program
    .command('config')
    .summary('check, print or describe the configuration')
    .description('Check, print or describe the configuration.')
    .addHelpText('after', HELP);
  config
    .command('check')
    .description(
      'Check a configuration file, the environment and overrides. Exit code 1 if there are mistakes.',
    )
    .argument('[file]', 'a configuration file, or a store (default: vexfs.toml)')
    .option('-s, --set <key=value>', 'also check an override; repeatable', collect, [])
    .option(
      '--json',
      'print JSON: {"ok", "problems": [{"source", "line", "column", "key", "message", "nearest"}]}',
    )
    .action(check);
  config
    .command('print')
    .description('Print the configuration as a commented file: the defaults, or what FILE makes of them.')
    .argument('[file]', 'a configuration file, or a store')
    .option('-s, --set <key=value>', 'override a value; repeatable', collect, [])
    .option('--json', 'print the values as JSON, sizes in bytes')
    .action(printCommand);
  config
    .command('keys')
    .description(
      'List every key with its default, its range, and whether it applies live or at the next mount.',
    )
    .option('--markdown', 'print a table in Markdown, with the explanations')
    .option('--json', 'print JSON: [{"key", "default", "range", "live", "description"}, …]')
    .action(keys);
  config
    .command('reload')
    .description(
      'Read the configuration of a running mount again, from where it was read when it was mounted. What can change ' +
        'live does; the rest is named. With a mistake in it nothing changes.',
    )
    .argument('[dir]', 'where it is mounted, or any path inside')
    .option(
      '--json',
      'print JSON: {"applied", "needsRemount", "failed"?}, each [{"key", "from", "to", "why"?}, …]',
    )
    .action(reload);
  config.command('schema').description('Print the JSON Schema of the configuration file.').action(schema);
}

/** A store stands for the file in it, which need not exist. */
function sourceOf(file: string | undefined): { file?: string; fallback?: string } {
  if (file === undefined) return {};
  if (existsSync(file) && statSync(file).isDirectory()) return { fallback: join(file, 'vexfs.toml') };
  return { file };
}

async function check(file: string | undefined, options: Options): Promise<void> {
  const { describeProblem, loadConfig } = await import('../runtime/config/load.ts');
  const name = file ?? 'vexfs.toml';
  const { problems } = loadConfig({ ...sourceOf(name), environment: process.env, set: options.set });
  if (options.json) {
    printJson({ ok: problems.length === 0, problems });
    if (problems.length > 0) process.exitCode = 1;
    return;
  }
  if (problems.length > 0) {
    const count = problems.length > 1 ? [plural(problems.length, 'problem')] : [];
    throw new UserError([...problems.map(describeProblem), ...count].join('\n'));
  }
  print(`${name}: no problems`);
}

async function printCommand(file: string | undefined, options: Options): Promise<void> {
  const { requireConfig } = await import('../runtime/config/load.ts');
  const { DECLARED } = await import('../runtime/config/fields.ts');
  const { printConfig } = await import('../runtime/config/print.ts');
  const config = requireConfig({ ...sourceOf(file), environment: process.env, set: options.set });
  if (options.json) printJson(config);
  else process.stdout.write(printConfig(DECLARED, config));
}

async function schema(): Promise<void> {
  const { printJsonSchema } = await import('../runtime/config/json-schema.ts');
  process.stdout.write(printJsonSchema());
}

async function keys(options: { json?: true; markdown?: true }): Promise<void> {
  const { DECLARED, FIELDS } = await import('../runtime/config/fields.ts');
  const { literal, printKeys } = await import('../runtime/config/print.ts');
  if (options.markdown) {
    process.stdout.write(printKeys(DECLARED));
    return;
  }
  if (options.json) {
    const list = FIELDS.map(({ key, initial, range, isLive, description }) => ({
      key,
      default: initial,
      range,
      live: isLive,
      description,
    }));
    printJson(list);
    return;
  }
  const rows = FIELDS.map((field) => [
    field.key,
    literal(field, field.initial),
    field.range,
    field.isLive ? 'live' : 'remount',
  ]);
  for (const line of withHeader(['KEY', 'DEFAULT', 'RANGE', 'APPLIES'], rows)) print(line);
}

async function reload(directory: string | undefined, options: { json?: true }): Promise<void> {
  const mount = findMount({ mount: directory });
  const report = await withMount(mount, (client) => client.call('reload', {}));
  if (options.json) printJson(report);
  else for (const line of describeReload(report)) print(line);
  if (report.failed !== undefined) process.exitCode = 1;
}
