/** The `-o` options of a mount, in mount(8)'s syntax: `ro,noatime,uid=1000`. */
import { closest } from 'fastest-levenshtein';
import { EINVAL } from '../../runtime/errno.ts';
import { Failure } from './failure.ts';

export interface MountOptions {
  readOnly: boolean;
  /** Other users may use the mount, subject to the permission bits. Undefined = not said: yes for root, else no. */
  allowOther: boolean | undefined;
  /** Of the other users only root may: the server refuses the rest. */
  allowRoot: boolean;
  suid: boolean;
  dev: boolean;
  exec: boolean;
  noatime: boolean;
  /** Mount over a directory that has entries. */
  nonempty: boolean;
  /** Whose all files appear to be, 0 … 2³² − 2, and the permissions that nobody has. Undefined: as stored. */
  uid: number | undefined;
  gid: number | undefined;
  umask: number | undefined;
  /** What the table of mounts shows as the source; undefined: the store's path. */
  fsname: string | undefined;
  /** The type is shown as `fuse.SUBTYPE`; undefined: `fuse.vexfs`. */
  subtype: string | undefined;
}

const SETTERS: Readonly<Record<string, (options: MountOptions) => void>> = {
  rw: (o) => (o.readOnly = false),
  ro: (o) => (o.readOnly = true),
  allow_other: (o) => (o.allowOther = true),
  allow_root: (o) => (o.allowRoot = true),
  // Always on: the kernel checks the permission bits.
  default_permissions: () => {},
  suid: (o) => (o.suid = true),
  nosuid: (o) => (o.suid = false),
  dev: (o) => (o.dev = true),
  nodev: (o) => (o.dev = false),
  exec: (o) => (o.exec = true),
  noexec: (o) => (o.exec = false),
  atime: (o) => (o.noatime = false),
  noatime: (o) => (o.noatime = true),
  nonempty: (o) => (o.nonempty = true),
};

interface Valued {
  /** What the value is, for whoever gave another. */
  readonly wants: string;
  readonly fits: (value: string) => boolean;
  readonly set: (options: MountOptions, value: string) => void;
}

const ID_MAX = 0xffff_fffe;
const isId = (value: string): boolean => /^\d{1,10}$/.test(value) && Number(value) <= ID_MAX;
const ID = `a number from 0 to ${ID_MAX}`;

const VALUED: Readonly<Record<string, Valued>> = {
  uid: { wants: ID, fits: isId, set: (o, value) => (o.uid = Number(value)) },
  gid: { wants: ID, fits: isId, set: (o, value) => (o.gid = Number(value)) },
  umask: {
    wants: 'an octal number from 0 to 777',
    fits: (value) => /^0?[0-7]{1,3}$/.test(value),
    set: (o, value) => (o.umask = Number.parseInt(value, 8)),
  },
  fsname: { wants: 'a name', fits: (value) => value !== '', set: (o, value) => (o.fsname = value) },
  subtype: {
    wants: 'a word of letters, digits, ".", "_" and "-"',
    fits: (value) => /^[\w.-]{1,64}$/.test(value),
    set: (o, value) => (o.subtype = value),
  },
};

/** Parses the values of any number of `-o`; a later option overrides an earlier one. */
export function parseMountOptions(texts: readonly string[]): MountOptions | Failure {
  const options: MountOptions = {
    readOnly: false,
    allowOther: undefined,
    allowRoot: false,
    suid: false,
    dev: false,
    exec: true,
    noatime: false,
    nonempty: false,
    uid: undefined,
    gid: undefined,
    umask: undefined,
    fsname: undefined,
    subtype: undefined,
  };
  for (const option of texts.flatMap((text) => text.split(','))) {
    const refused = option === '' ? undefined : apply(options, option);
    if (refused !== undefined) return new Failure(-EINVAL, refused);
  }
  return options;
}

/** Why the option cannot be applied, in one sentence. */
function apply(options: MountOptions, option: string): string | undefined {
  const equals = option.indexOf('=');
  const name = equals < 0 ? option : option.slice(0, equals);
  const value = equals < 0 ? '' : option.slice(equals + 1);
  if (Object.hasOwn(SETTERS, name)) {
    if (equals >= 0) return `mount option "${name}" takes no value`;
    SETTERS[name]!(options);
    return undefined;
  }
  if (Object.hasOwn(VALUED, name)) {
    const { fits, set, wants } = VALUED[name]!;
    if (!fits(value)) return `mount option "${name}" needs ${wants}, not "${value}": ${name}=…`;
    set(options, value);
    return undefined;
  }
  const nearest = closest(name, [...Object.keys(SETTERS), ...Object.keys(VALUED)]);
  return `unknown mount option "${name}"; did you mean "${nearest}"?`;
}
