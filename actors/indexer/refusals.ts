import { COLLECTIONS_KEPT, COLLECTIONS_MAX } from '../../runtime/config/bounds.ts';
import * as errnos from '../../runtime/errno.ts';

const ERRNO_NAMES = new Map(Object.entries(errnos).map(([name, value]) => [value, name]));

const SENTENCES: Readonly<Record<number, string>> = {
  [errnos.ENOENT]: 'there is no such file or directory',
  [errnos.ENOTDIR]: 'a part of the path is no directory',
  [errnos.EISDIR]: 'that is a directory',
  [errnos.EEXIST]: 'there is something of that name already',
  [errnos.EACCES]: 'permission denied',
  [errnos.EPERM]: 'this may not be changed',
  [errnos.ELOOP]: 'symbolic links are not followed',
  [errnos.ENODATA]: 'there is no such attribute',
  [errnos.ENOSPC]: 'there is no room for it',
  [errnos.EDQUOT]: `the last ${COLLECTIONS_KEPT} of ${COLLECTIONS_MAX} collections are for the owner of the store and root`,
  [errnos.EINVAL]: 'the path, or the vector (other dimension, NaN, infinity, all zeros), is not valid',
  [errnos.E2BIG]: 'that is more than one transaction takes; make it several',
  [errnos.EOPNOTSUPP]: 'attributes are called user.NAME',
  [errnos.ERANGE]: 'the name of the attribute is not valid',
  [errnos.EBUSY]: 'the collection is being dropped',
  [errnos.EIO]: 'the store takes no changes',
  [errnos.EROFS]: 'it is mounted read-only',
};

/** Why something was refused, with the name of the errno. */
export function reason(errno: number): string {
  const name = ERRNO_NAMES.get(errno) ?? `errno ${errno}`;
  const sentence = SENTENCES[errno];
  return sentence === undefined ? name : `${sentence} (${name})`;
}
