import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import { UserError } from '../runtime/user-error.ts';
import { collect } from './arguments.ts';
import { loadDaemon } from './daemon.ts';
import { serveInForeground } from './foreground.ts';
import { print, say } from './terminal.ts';

interface Options {
  readonly foreground?: true;
  readonly background?: true;
  readonly options: string[];
  readonly config?: string;
  readonly set: string[];
}

/** From the process that serves to the one that started it. */
type Report = { readonly ready: true } | { readonly failed: string };

const HELP = `
STORE is a directory that VexFS owns; it is created if it does not exist. DIR must be an empty directory.
The command returns once the mount can be used; its messages go to STORE/vexfs.log.

Examples:
  vexfs mount ~/notes.vexfs ~/notes
  vexfs mount ~/notes.vexfs ~/notes -f                      stay; Ctrl-C unmounts
  vexfs mount store mnt -o ro,allow_other --set workers.fuse=4

Unmount with "vexfs umount DIR". "vexfs doctor" says whether this machine can mount.`;

export function addMount(program: Command): void {
  program
    .command('mount')
    .summary('mount a store at a directory')
    .description('Mount STORE at DIR.')
    .argument('<store>', 'where the data is kept; created if it does not exist')
    .argument('<dir>', 'an empty directory, where the files appear')
    .option('-f, --foreground', 'serve in this process until Ctrl-C or an unmount')
    .option(
      '-o, --options <list>',
      'mount options with commas between, such as ro,allow_other; repeatable',
      collect,
      [],
    )
    .option('-c, --config <file>', 'configuration file (default: STORE/vexfs.toml if it exists)')
    .option('-s, --set <key=value>', 'override a value of the configuration; repeatable', collect, [])
    .addOption(new Option('--background').hideHelp())
    .addHelpText('after', HELP)
    .action(mount);
}

async function mount(store: string, directory: string, options: Options): Promise<void> {
  const request = requested(store, directory, options);
  if (options.background) process.exitCode = await serveInBackground(request);
  else if (options.foreground) process.exitCode = await serveWithNotice(request);
  else await startInBackground(request);
}

/** Mounts and returns once the mount can be used; it is served by a process of its own. @throws {UserError} */
export async function mountInBackground(store: string, directory: string, options: Requested): Promise<void> {
  await startInBackground(requested(store, directory, options));
}

interface Requested {
  readonly options: string[];
  readonly set: string[];
  readonly config?: string | undefined;
}

function requested(store: string, directory: string, { options, set, config }: Requested): Request {
  return {
    store: resolve(store),
    directory: resolve(directory),
    options,
    set,
    ...(config === undefined ? {} : { config: resolve(config) }),
  };
}

type Request = Omit<Parameters<typeof serveInForeground>[0], 'whenReady'>;

async function serveWithNotice(request: Request): Promise<number> {
  const whenReady = async (): Promise<void> =>
    say(`${request.store} is mounted at ${request.directory}; Ctrl-C unmounts`);
  return serveInForeground({ ...request, whenReady }, await loadDaemon());
}

/** This process is the child: it reports to its parent, then writes only to the log. */
async function serveInBackground(request: Request): Promise<number> {
  const report = (message: Report): void => {
    // who waits for this may have been ended
    if (process.connected) process.send!(message, undefined, undefined, () => {});
  };
  const leave = (): void => {
    if (process.connected) process.disconnect();
  };
  try {
    const whenReady = async (): Promise<void> => {
      const { redirectOutput } = await import('../runtime/system/redirect-output.ts');
      redirectOutput(join(request.store, 'vexfs.log'));
      report({ ready: true });
      leave();
    };
    return await serveInForeground({ ...request, whenReady }, await loadDaemon());
  } catch (error) {
    if (!(error instanceof UserError) || !process.connected) throw error;
    report({ failed: error.message });
    leave();
    return 1;
  }
}

/** Starts this program again, in a session of its own, and waits until it serves. */
function startInBackground(request: Request): Promise<void> {
  const program = fileURLToPath(new URL('./vexfs.js', import.meta.url));
  const args = [program, 'mount', '--background'];
  for (const list of request.options) args.push('-o', list);
  for (const set of request.set) args.push('--set', set);
  if (request.config !== undefined) args.push('--config', request.config);
  args.push('--', request.store, request.directory);
  // Its own working directory: a process that stays must not keep another filesystem busy.
  const child = spawn(process.execPath, args, {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let written = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      written += text;
    });
  }
  const interrupt = (): void => {
    child.kill('SIGINT');
  };
  process.on('SIGINT', interrupt);
  return new Promise<void>((resolveStart, reject) => {
    child.on('message', (message: Report) => {
      if ('failed' in message) reject(new UserError(message.failed));
      else if ('ready' in message) {
        process.stderr.write(written);
        print(`${request.store} is mounted at ${request.directory}`);
        resolveStart();
      }
    });
    child.on('error', (error) => reject(new UserError(`the mount could not be started: ${error.message}`)));
    // 'close' comes after what was written has been read.
    child.on('close', (code, signal) => {
      const how = signal === null ? `with code ${code}` : `by ${signal}`;
      process.stderr.write(written);
      reject(new UserError(`the process that serves the mount ended ${how} before it was ready`));
    });
  }).finally(() => {
    process.off('SIGINT', interrupt);
    child.unref();
    child.stdout!.destroy();
    child.stderr!.destroy();
    if (child.connected) child.disconnect();
  });
}
