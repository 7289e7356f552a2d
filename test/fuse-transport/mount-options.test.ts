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

  it.each([
    ['alow_other', 'unknown mount option "alow_other"; did you mean "allow_other"?'],
    ['read_only,ro', 'unknown mount option "read_only"'],
    ['uid=5', 'unknown mount option "uid"'],
    ['constructor', 'unknown mount option "constructor"'],
    ['ro=1', 'mount option "ro" takes no value'],
    ['fsname=notes', 'unknown mount option "fsname"'],
  ])('%s is refused', (text, message) => {
    const failure = parseMountOptions([text]);
    expect(failure).toBeInstanceOf(Failure);
    expect((failure as Failure).message).toContain(message);
    expect((failure as Failure).errno).toBe(-22);
  });
});
