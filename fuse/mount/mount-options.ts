/**
 * The `-o` options of a mount, in mount(8)'s syntax: `ro,noatime`. The source and the type of a mount (fsname, subtype)
 * cannot be chosen: they are how it is found again.
 */
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
  };
  for (const option of texts.flatMap((text) => text.split(','))) {
    if (option === '') continue;
    const equals = option.indexOf('=');
    const name = equals < 0 ? option : option.slice(0, equals);
    if (!Object.hasOwn(SETTERS, name)) {
      const nearest = closest(name, Object.keys(SETTERS));
      return new Failure(-EINVAL, `unknown mount option "${name}"; did you mean "${nearest}"?`);
    }
    if (equals >= 0) return new Failure(-EINVAL, `mount option "${name}" takes no value`);
    SETTERS[name]!(options);
  }
  return options;
}
