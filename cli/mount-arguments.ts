/** What mount(8) gives to its helper `mount.vexfs`, as the arguments of `vexfs mount`. */
import { UserError } from '../runtime/user-error.ts';

/**
 * What fstab says to mount(8), systemd and libmount and not to a filesystem, or what FUSE has no say in; a value after "="
 * does not matter. Those that begin with x- are for other programs, too.
 */
const FOR_OTHERS = new Set([
  'remount',
  ...[
    'auto',
    'noauto',
    'defaults',
    'user',
    'nouser',
    'users',
    'owner',
    'group',
    '_netdev',
    'nofail',
    'comment',
  ],
  ...[
    'relatime',
    'norelatime',
    'strictatime',
    'nostrictatime',
    'lazytime',
    'nolazytime',
    'diratime',
    'nodiratime',
  ],
  ...['async', 'sync', 'dirsync', 'iversion', 'noiversion', 'silent', 'loud', 'uhelper', 'helper'],
]);

/** What a mount of any filesystem can be told while it is there. */
const OF_ANY_MOUNT = new Set([
  ...['ro', 'rw', 'suid', 'nosuid', 'dev', 'nodev', 'exec', 'noexec', 'sync', 'async', 'dirsync'],
  ...[
    'atime',
    'noatime',
    'diratime',
    'nodiratime',
    'relatime',
    'norelatime',
    'strictatime',
    'lazytime',
    'nolazytime',
  ],
]);

/** Options of mount(8) without a value that a helper may get; -f, which means to do nothing, is {@link HelperRequest.fake}. */
const IGNORED_FLAGS = new Set(['s', 'n', 'v', 'w', 'N', 'i']);

export interface HelperRequest {
  readonly store: string;
  readonly directory: string;
  /** As for `vexfs mount -o`. */
  readonly options: readonly string[];
  readonly config: string | undefined;
  readonly set: readonly string[];
  /** What is to become of the mount that is there, as options of `mount -i -o remount`; undefined = it is a new one. */
  readonly remount: readonly string[] | undefined;
  /** Only say whether the command is understood. */
  readonly fake: boolean;
}

/** @throws {UserError} if they are not what mount(8) gives. */
export function parseHelperArguments(args: readonly string[]): HelperRequest {
  const places: string[] = [];
  const given: string[] = [];
  let fake = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (!/^-[A-Za-z]/.test(arg)) places.push(arg);
    else if (arg.startsWith('-o'))
      given.push(...(arg.length > 2 ? arg.slice(2) : (args[++i] ?? '')).split(','));
    else if (arg === '-t' || arg === '-N') i++;
    else if (arg === '-r') given.push('ro');
    else if (arg === '-f') fake = true;
    else if (![...arg.slice(1)].every((flag) => IGNORED_FLAGS.has(flag)))
      throw new UserError(`mount.vexfs does not know the option ${arg}`);
  }
  const [source, directory] = places;
  if (source === undefined || directory === undefined || places.length > 2)
    throw new UserError('usage: mount.vexfs STORE DIR [-o option,…]; mount(8) calls it for "mount -t vexfs"');
  const remount = given.includes('remount') ? remountOptions(given) : undefined;
  const { store, options, ...rest } = separate(given);
  if (store === undefined) return { store: source, directory, fake, remount, options, ...rest };
  return { store, directory, fake, remount, options: [`fsname=${source}`, ...options], ...rest };
}

/**
 * mount(8) gives all that is to hold afterwards, but leaves out what is the default, which has to be said to it again. The rest
 * of what the table of mounts shows is FUSE's own, and does not change.
 */
function remountOptions(given: readonly string[]): string[] {
  const defaults = ['rw', 'suid', 'dev', 'exec', 'async', 'atime', 'diratime', 'nolazytime'];
  return [...defaults, ...given.filter((option) => OF_ANY_MOUNT.has(option))];
}

interface Separated extends Pick<HelperRequest, 'options' | 'config' | 'set'> {
  /** Given as an option: the first argument is then only a name. */
  readonly store: string | undefined;
}

function separate(given: readonly string[]): Separated {
  const options: string[] = [];
  const set: string[] = [];
  let config: string | undefined;
  let store: string | undefined;
  for (const option of given) {
    const equals = option.indexOf('=');
    const name = equals < 0 ? option : option.slice(0, equals);
    const value = equals < 0 ? '' : option.slice(equals + 1);
    if (name === 'config') config = value;
    else if (name === 'store') store = value;
    else if (name === 'set') set.push(value);
    else if (!FOR_OTHERS.has(name) && !/^x-/i.test(name)) options.push(option);
  }
  return { options, config, set, store };
}
