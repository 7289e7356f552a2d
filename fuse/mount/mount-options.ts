/** The `-o` options of a mount, in mount(8)'s syntax: `ro,noatime,fsname=notes`; `\` escapes a comma or itself. */
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
  /** Shown as the mount's source instead of the store's path, and as the type after `fuse.`. */
  fsname: string | undefined;
  subtype: string | undefined;
}

const SETTERS: Readonly<Record<string, (options: MountOptions, value: string) => void>> = {
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
  fsname: (o, value) => (o.fsname = value),
  subtype: (o, value) => (o.subtype = value),
};
const WITH_VALUE: ReadonlySet<string> = new Set(['fsname', 'subtype']);

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
    fsname: undefined,
    subtype: undefined,
  };
  for (const option of texts.flatMap(splitOptions)) {
    if (option === '') continue;
    const equals = option.indexOf('=');
    const name = equals < 0 ? option : option.slice(0, equals);
    if (!Object.hasOwn(SETTERS, name)) {
      const nearest = closest(name, Object.keys(SETTERS));
      return new Failure(-EINVAL, `unknown mount option "${name}"; did you mean "${nearest}"?`);
    }
    if (WITH_VALUE.has(name) && (equals < 0 || equals === option.length - 1)) {
      return new Failure(-EINVAL, `mount option "${name}" needs a value: ${name}=…`);
    }
    if (!WITH_VALUE.has(name) && equals >= 0) {
      return new Failure(-EINVAL, `mount option "${name}" takes no value`);
    }
    SETTERS[name]!(options, option.slice(equals + 1));
  }
  return options;
}

/** Splits at commas; a backslash takes the character after it as it is. */
function splitOptions(text: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === '\\' && i + 1 < text.length) part += text[++i]!;
    else if (c === ',') {
      parts.push(part);
      part = '';
    } else part += c;
  }
  parts.push(part);
  return parts;
}

/** The inverse for one value: as fusermount3 and {@link parseMountOptions} read it. */
export function escapeOption(value: string): string {
  return value.replace(/[\\,]/g, '\\$&');
}
