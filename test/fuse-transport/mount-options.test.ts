import { describe, expect, it } from 'vitest';
import { Failure } from '../../fuse/mount/failure.ts';
import { parseMountOptions } from '../../fuse/mount/mount-options.ts';

describe('mount options', () => {
  it('are safe by default', () => {
    expect(parseMountOptions([])).toMatchObject({
      readOnly: false,
      suid: false,
      dev: false,
      exec: true,
      allowOther: undefined,
    });
  });

  it('are read from several -o, the later one winning', () => {
    expect(parseMountOptions(['ro,noatime,suid', 'rw,allow_other,,noexec'])).toMatchObject({
      readOnly: false,
      noatime: true,
      suid: true,
      allowOther: true,
      exec: false,
    });
  });

  it('with values: owner, permissions and the name of the mount', () => {
    expect(parseMountOptions(['uid=1000,gid=0,umask=027', 'fsname=my notes,subtype=notes'])).toMatchObject({
      uid: 1000,
      gid: 0,
      umask: 0o27,
      fsname: 'my notes',
      subtype: 'notes',
    });
    expect(parseMountOptions([])).toMatchObject({ uid: undefined, umask: undefined, fsname: undefined });
  });

  it.each([
    ['alow_other', 'unknown mount option "alow_other"; did you mean "allow_other"?'],
    ['read_only,ro', 'unknown mount option "read_only"'],
    ['uid=me', 'mount option "uid" needs a number from 0 to 4294967294, not "me": uid=…'],
    ['gid=4294967295', 'mount option "gid" needs a number'],
    ['umask=8', 'mount option "umask" needs an octal number from 0 to 777, not "8"'],
    ['umask', 'mount option "umask" needs an octal number'],
    ['subtype=a/b', 'mount option "subtype" needs a word'],
    ['usid=5', 'unknown mount option "usid"; did you mean "uid"?'],
    ['constructor', 'unknown mount option "constructor"'],
    ['ro=1', 'mount option "ro" takes no value'],
    ['fsname=', 'mount option "fsname" needs a name'],
  ])('%s is refused', (text, message) => {
    const failure = parseMountOptions([text]);
    expect(failure).toBeInstanceOf(Failure);
    expect((failure as Failure).message).toContain(message);
    expect((failure as Failure).errno).toBe(-22);
  });
});
