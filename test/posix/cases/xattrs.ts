/** Extended attributes: who may set which, what is refused, what they do to times. */
import { expect } from 'vitest';
import { EACCES, EEXIST, EINVAL, ENOENT, EOPNOTSUPP, EPERM, ERANGE } from '../../../runtime/errno.ts';
import * as c from '../calls.ts';
import { ALICE, BOB, type Cases, done, moves, refused } from '../place.ts';

export const xattrCases: Cases = {
  'xattrs: of the owner’s are for those who may write, of "trusted" for root; and on no links': (at) => {
    const path = at.file(0o644, ALICE);
    const value = new TextEncoder().encode('value');
    done(c.as(ALICE, () => c.setxattr(path, 'user.a', value, 5, 0)));
    refused(
      c.as(BOB, () => c.setxattr(path, 'user.a', value, 5, 0)),
      EACCES,
    );
    refused(
      c.as(ALICE, () => c.setxattr(path, 'trusted.a', value, 5, 0)),
      EPERM,
    );
    moves(path, { ctime: true, mtime: false }, () => done(c.setxattr(path, 'user.a', value, 3, 0)));
    const read = new Uint8Array(9);
    expect(c.getxattr(path, 'user.a', read, 9)).toBe(3);
    refused(c.getxattr(path, 'user.a', read, 1), 34);
    refused(c.setxattr(path, 'user.a', value, 5, 1), EEXIST);
    refused(c.setxattr(path, 'user.b', value, 5, 2), 61);
    // To be made and to be replaced: there is nothing that could be both.
    refused(c.setxattr(path, 'user.a', value, 5, 3), EEXIST);
    refused(c.setxattr(path, 'user.b', value, 5, 3), 61);
    refused(c.setxattr(path, 'user.b', value, 5, 4), EINVAL);
    moves(path, { ctime: true, mtime: false }, () => done(c.removexattr(path, 'user.a')));
    refused(c.removexattr(path, 'user.a'), 61);
    refused(c.setxattr(at.name(), 'user.a', value, 5, 0), ENOENT);
  },
  'xattrs: a name of no namespace is not supported, and one without a name in it is not valid': (at) => {
    const path = at.file();
    for (const [name, errno] of [
      ['bogus.a', EOPNOTSUPP],
      ['user', EOPNOTSUPP],
      ['usera.b', EOPNOTSUPP],
      ['system.a', EOPNOTSUPP],
      ['user.', EINVAL],
      ['trusted.', EINVAL],
      ['security.', EINVAL],
    ] as const) {
      refused(c.setxattr(path, name, Uint8Array.of(1), 1, 0), errno);
      refused(c.getxattr(path, name, new Uint8Array(1), 1), errno);
      refused(c.removexattr(path, name), errno);
    }
  },
  'xattrs: names of "trusted" are listed for root only, and are in no other’s way': (at) => {
    const path = at.file(0o666);
    for (const name of ['trusted.a', 'user.b', 'trusted.c', 'user.d'])
      done(c.setxattr(path, name, Uint8Array.of(1), 1, 0));
    const list = (room: number): string[] => {
      const names = new Uint8Array(room);
      const text = Buffer.from(names.subarray(0, done(c.listxattr(path, names, room)))).toString();
      return text.split('\0').slice(0, -1).sort();
    };
    expect(list(100)).toEqual(['trusted.a', 'trusted.c', 'user.b', 'user.d']);
    expect(c.as(ALICE, () => list(14))).toEqual(['user.b', 'user.d']);
    expect(c.as(ALICE, () => c.listxattr(path, new Uint8Array(1), 0))).toBe(14);
    refused(
      c.as(ALICE, () => c.listxattr(path, new Uint8Array(13), 13)),
      ERANGE,
    );
  },
  'xattrs: an access list that is not there can be taken away': (at) => {
    const path = at.directory();
    for (const list of ['system.posix_acl_access', 'system.posix_acl_default']) {
      refused(c.getxattr(path, list, new Uint8Array(1), 1), 61);
      done(c.removexattr(path, list));
    }
  },
};
