import { describe, expect, it, test } from 'vitest';
import { completionOf } from '../../fuse/operations/resumption.ts';
import * as abi from '../../fuse/protocol/abi.ts';
import { EIO } from '../../runtime/errno.ts';
import { LIST } from '../namespace/access-list.ts';
import {
  flightWords,
  mayLeak,
  type Recovered,
  type Remains,
  type Run,
  recover,
  run,
  type Scenario,
} from './death.ts';
import { type Node, ok, ROOT, words } from './encoding.ts';
import type { Harness } from './harness.ts';

const BIG = 20_000;
const OTHER_VECTOR = Buffer.from(Float32Array.from([5, 6, 7, 8]).buffer);

/** A file in a directory, a second name, a vector, and some the kernel knows. */
function furnish(h: Harness): { dir: Node; file: Node; big: Node } {
  const dir = ok(h.mkdir(ROOT, 'dir'));
  const file = ok(h.create(dir, 'file'));
  h.write(file, 0, 'content');
  h.setxattr(file, 'user.color', 'red');
  h.setxattr(file, 'user.vexfs.vector', Buffer.from(Float32Array.from([1, 2, 3, 4]).buffer));
  const big = ok(h.create(dir, 'big'));
  h.write(big, 0, Buffer.alloc(BIG, 'x'));
  ok(h.mkdir(dir, 'empty'));
  ok(h.create(ROOT, 'top'));
  ok(h.symlink(dir, 'arrow', 'target'));
  return { dir, file, big };
}

type Furnished = ReturnType<typeof furnish>;
const scenario = (request: (h: Harness, f: Furnished) => unknown): Scenario<Furnished> => ({
  prepare: furnish,
  request,
});

/** Counted lookups and opens of the recovered filesystem beyond those of the undisturbed one: [more, fewer]. */
function miscounted(undisturbed: Run, { outcome }: Recovered): [number, number] {
  let [more, fewer] = [0, 0];
  const before = [...undisturbed.outcome.lookups, ...undisturbed.outcome.opens];
  [...outcome.lookups, ...outcome.opens].forEach((count, at) => {
    const difference = count - before[at]!;
    if (difference > 0) more += difference;
    else fewer -= difference;
  });
  return [more, fewer];
}

/** At every step the answer and the filesystem are those of the undisturbed run. */
function expectSame(undisturbed: Run): void {
  expect(undisturbed.remains.length).toBeGreaterThanOrEqual(3);
  for (const remains of undisturbed.remains) {
    const { step } = remains;
    const recovered = recover(undisturbed, remains);
    const [more, fewer] = miscounted(undisturbed, recovered);
    expect({ step, fewer }).toEqual({ step, fewer: 0 });
    expect({ step, more }).toEqual({ step, more: mayLeak(remains) ? more : 0 });
    expect(more).toBeLessThanOrEqual(1);
    const { error, body } = recovered.answer;
    expect({ step, error, body: body.toString('hex') }).toEqual({
      step,
      error: undisturbed.answer.error,
      body: undisturbed.answer.body.toString('hex'),
    });
    expect(`${step}\n${recovered.outcome.tree}`).toBe(`${step}\n${undisturbed.outcome.tree}`);
    expect(recovered.handed.forgotten).toEqual([]);
  }
}

const steps = (undisturbed: Run): string[] => undisturbed.remains.map(({ step }) => step);

describe('a thread dies at any step of a request, and its successor answers as if nothing had happened:', () => {
  const same: Record<string, Scenario<Furnished>> = {
    'LOOKUP of a file': scenario((h, { dir }) => h.lookup(dir, 'file')),
    'LOOKUP of a name that is missing': scenario((h, { dir }) => h.lookup(dir, 'nothing')),
    'LOOKUP of the virtual directory': scenario((h) => h.lookup(ROOT, '.vexfs')),
    GETATTR: scenario((h, { file }) => h.getattr(file)),
    READ: scenario((h, { file }) => h.read(file, 0, 100)),
    'READ of an object': scenario((h, { big }) => h.read(big, 1000, 5000)),
    READLINK: scenario((h, { dir }) => {
      const arrow = ok(h.lookup(dir, 'arrow'));
      return h.readlink(arrow);
    }),
    READDIR: scenario((h, { dir }) => h.readdirOnce(dir, 0n, 4096)),
    READDIRPLUS: scenario((h, { dir }) => h.readdirOnce(dir, 0n, 4096, true)),
    STATFS: scenario((h) => h.call(abi.FUSE_STATFS, ROOT)),
    GETXATTR: scenario((h, { file }) => h.getxattr(file, 'user.color')),
    LISTXATTR: scenario((h, { file }) => h.listxattr(file)),
    'WRITE to a small file': scenario((h, { file }) => h.write(file, 3, 'changed')),
    'WRITE beyond the end of a small file': scenario((h, { file }) => h.write(file, 2000, 'far')),
    'WRITE that makes a small file an object': scenario((h, { file }) =>
      h.write(file, 1000, Buffer.alloc(9000, 'y')),
    ),
    'WRITE to an object': scenario((h, { big }) => h.write(big, 15_000, Buffer.alloc(9000, 'z'))),
    'SETATTR of mode and times': scenario((h, { file }) =>
      h.setattr(file, { valid: abi.FATTR_MODE | abi.FATTR_MTIME, mode: 0o600, mtime: 12345 }),
    ),
    'SETATTR of the size and the owner, which is two transactions': scenario((h, { file }) =>
      h.setattr(file, { valid: abi.FATTR_SIZE | abi.FATTR_UID, size: 3, uid: 7 }),
    ),
    'SETATTR that cuts an object': scenario((h, { big }) => h.truncate(big, 10_000)),
    'FALLOCATE that grows': scenario((h, { file }) => h.fallocate(file, 0, 0, 3000)),
    'FALLOCATE that punches a hole': scenario((h, { big }) => h.fallocate(big, 3, 100, 5000)),
    'SETXATTR without flags': scenario((h, { file }) => h.setxattr(file, 'user.color', 'blue')),
    'SETXATTR of a vector': scenario((h, { file }) => h.setxattr(file, 'user.vexfs.vector', OTHER_VECTOR)),
    CREATE: scenario((h, { dir }) => h.create(dir, 'new')),
    'CREATE of a file that is there': scenario((h, { dir }) => h.create(dir, 'file', 0o644, 0o100)),
    MKNOD: scenario((h, { dir }) => h.mknod(dir, 'pipe', 0o010644)),
    MKDIR: scenario((h, { dir }) => h.mkdir(dir, 'sub')),
    SYMLINK: scenario((h, { dir }) => h.symlink(dir, 'link', 'elsewhere')),
    LINK: scenario((h, { dir, file }) => h.link(file, dir, 'second')),
    'UNLINK of a name among others': scenario((h, { dir, file }) => {
      h.link(file, dir, 'second');
      return h.unlink(dir, 'file');
    }),
    'UNLINK of the last name': scenario((h, { dir }) => h.unlink(dir, 'big')),
    RMDIR: scenario((h, { dir }) => h.rmdir(dir, 'empty')),
    'RENAME to a new name': scenario((h, { dir }) => h.rename(dir, 'file', ROOT, 'moved')),
    'RENAME over another file': scenario((h, { dir }) => h.rename(dir, 'file', dir, 'big')),
    'RENAME_EXCHANGE, which a second time would undo': scenario((h, { dir }) =>
      h.rename(dir, 'file', ROOT, 'top', 2),
    ),
    'RENAME_WHITEOUT, which is two records': scenario((h, { dir }) =>
      h.rename(dir, 'file', ROOT, 'moved', 4),
    ),
    'COPY_FILE_RANGE from one file into another': scenario((h, { file, big }) =>
      h.call(
        abi.FUSE_COPY_FILE_RANGE,
        big,
        Buffer.from(BigUint64Array.of(0n, 100n, BigInt(file.lo), 0n, 3n, 9000n, 0n).buffer),
      ),
    ),
    'LSEEK for data': scenario((h, { big }) =>
      h.call(abi.FUSE_LSEEK, big, Buffer.from(BigUint64Array.of(0n, 100n, 3n).buffer)),
    ),
    'OPEN of a small file': scenario((h, { file }) => h.call(abi.FUSE_OPEN, file, words(2, 0))),
    'OPEN of an object, to read': scenario((h, { big }) => h.open(big, 0)),
    'OPEN of an object, to write': scenario((h, { big }) => h.open(big, 2)),
    'WRITE to an object that is passed through': scenario((h, { big }) => {
      h.open(big, 2);
      return h.write(big, 15_000, Buffer.alloc(9000, 'z'));
    }),
    'RELEASE of an object that was written past us': scenario((h, { big }) => {
      h.open(big, 2);
      h.writePastUs(big, BIG, Buffer.from('past us'));
      return h.release(big, 2);
    }),
    'GETATTR of an object that was written past us': scenario((h, { big }) => {
      h.open(big, 2);
      h.writePastUs(big, BIG, Buffer.from('past us'));
      return h.getattr(big);
    }),
    'SETATTR that cuts an object that is passed through': scenario((h, { big }) => {
      h.open(big, 0);
      return h.truncate(big, 0);
    }),
    STATX: scenario((h, { file }) => h.call(abi.FUSE_STATX, file, Buffer.alloc(abi.STATX_IN_BYTES))),
    'IOCTL that sets a flag': scenario((h, { file }) => {
      const body = words(0, 0, 0, abi.FS_IOC_SETFLAGS, 0, 0, 4, 0, 0x40);
      return h.call(abi.FUSE_IOCTL, file, body);
    }),
    'SETXATTR of an access list, which changes the mode': scenario((h, { file }) =>
      h.setxattr(file, 'system.posix_acl_access', LIST, 1),
    ),
    'CREATE in a directory with a default list': scenario((h, { dir }) => {
      h.setxattr(dir, 'system.posix_acl_default', LIST);
      return h.create(dir, 'new');
    }),
    'SETXATTR with XATTR_CREATE': scenario((h, { file }) => h.setxattr(file, 'user.new', 'x', 1)),
    'SETXATTR with XATTR_REPLACE': scenario((h, { file }) => h.setxattr(file, 'user.color', 'x', 2)),
    REMOVEXATTR: scenario((h, { file }) => h.removexattr(file, 'user.color')),
    'REMOVEXATTR of a vector': scenario((h, { file }) => h.removexattr(file, 'user.vexfs.vector')),
    'a request that fails': scenario((h, { dir }) => h.rmdir(dir, 'file')),
    'a request that is not known': scenario((h) => h.call(4000, ROOT)),
    'a request that is malformed': scenario((h, { dir }) =>
      h.call(abi.FUSE_LOOKUP, dir, Buffer.from('no end')),
    ),
  };
  for (const [name, its] of Object.entries(same)) {
    it(name, () => expectSame(run(its)));
  }
});

describe('what is done once and for all', () => {
  it('TMPFILE: is done again if need be, and then leaves at most one inode until the next mount', () => {
    const body = Buffer.concat([words(0, 0o644, 0, 0), Buffer.from('/\0')]);
    const undisturbed = run(scenario((h, { dir }) => h.call(abi.FUSE_TMPFILE, dir, body)));
    for (const remains of undisturbed.remains) {
      const { answer, outcome } = recover(undisturbed, remains);
      expect(answer.error).toBe(0);
      expect(outcome.tree).toBe(undisturbed.outcome.tree);
      const held = ({ lookups }: Run['outcome']) => lookups.filter((count) => count > 0).length;
      const more = held(outcome) - held(undisturbed.outcome);
      expect(more === 0 || (more === 1 && mayLeak(remains)), remains.step).toBe(true);
    }
  });

  it('FORGET: no lookup is given back twice, and at most the one at hand is kept', () => {
    const undisturbed = run(scenario((h, { file }) => h.forget(file, 1)));
    expect(steps(undisturbed)).toEqual(['received', 'noted, not given back', 'given back', 'ended']);
    expectForgotten(undisturbed);
  });

  it('BATCH_FORGET: the same for each of its entries, wherever the thread died', () => {
    const undisturbed = run(
      scenario((h, { dir, file, big }) => {
        h.lookup(dir, 'file');
        const body = Buffer.alloc(8 + 3 * 16);
        body.writeUInt32LE(3, 0);
        [dir, file, big].forEach(({ lo }, n) => {
          body.writeUInt32LE(lo, 8 + n * 16);
          body.writeUInt32LE(1, 8 + n * 16 + 8);
        });
        return h.call(abi.FUSE_BATCH_FORGET, ROOT, body);
      }),
    );
    expect(steps(undisturbed).filter((step) => step === 'given back')).toHaveLength(3);
    expectForgotten(undisturbed);
  });

  function expectForgotten(undisturbed: Run): void {
    for (const remains of undisturbed.remains.slice(undisturbed.remains.findIndex(isOfForget))) {
      const recovered = recover(undisturbed, remains);
      const [more, fewer] = miscounted(undisturbed, recovered);
      const { step } = remains;
      expect({ step, more, fewer }).toEqual({ step, more: mayLeak(remains) ? 1 : 0, fewer: 0 });
      expect(recovered.answer.error).toBe(undefined);
    }
  }

  /** The steps before belong to requests that prepare. */
  const isOfForget = ({ step }: Remains): boolean => step === 'noted, not given back';

  it('a vector that was set or removed is passed on, also when the thread died just after the journal had it', () => {
    for (const [request, value] of [
      [(h: Harness, { file }: Furnished) => h.setxattr(file, 'user.vexfs.vector', OTHER_VECTOR, 2), 'set'],
      [(h: Harness, { file }: Furnished) => h.removexattr(file, 'user.vexfs.vector'), 'removed'],
    ] as const) {
      const undisturbed = run(scenario(request));
      const published = undisturbed.remains.find(({ step }) => step === 'published')!;
      const { vectors } = recover(undisturbed, published).handed;
      expect(vectors).toMatchObject([{ collection: 1, value: value === 'set' ? OTHER_VECTOR : undefined }]);
    }
  });
});

describe('a request that another actor is to answer', () => {
  it('FSYNC: is handed over again unless it was handed over and the thread was done with it', () => {
    const undisturbed = run(scenario((h, { file }) => h.call(abi.FUSE_FSYNC, file, Buffer.alloc(16))));
    expect(steps(undisturbed)).toEqual(['received', 'posted', 'ended']);
    const posted = undisturbed.remains.map((remains) => {
      const { answer, handed, resumed } = recover(undisturbed, remains);
      expect(answer.error).toBe(undefined);
      return [resumed, handed.synced.length];
    });
    expect(posted).toEqual([
      ['run', 1],
      ['run again', 1],
      ['nothing to do', 0],
    ]);
  });

  it('a search: is asked again', () => {
    const undisturbed = run({
      prepare: (h) => ok(h.lookup(ok(h.lookup(ROOT, '.vexfs')), 'search')),
      request: (h, search) => h.lookup(search, 'where is it'),
    });
    const received = undisturbed.remains.find(({ step }) => step === 'received')!;
    expect(recover(undisturbed, received).handed.queries).toHaveLength(1);
  });
});

test('a request that three threads have died of is answered EIO, and the kernel forgets what it concerns', () => {
  const concerned: [Scenario<Furnished>, unknown[]][] = [
    [scenario((h, { dir }) => h.mkdir(dir, 'sub')), [{ parent: { lo: 2, hi: 0 }, name: 'sub' }]],
    [
      scenario((h, { dir }) => h.rename(dir, 'file', ROOT, 'top', 2)),
      [
        { parent: { lo: 2, hi: 0 }, name: 'file' },
        { parent: { lo: 1, hi: 0 }, name: 'top' },
      ],
    ],
    [
      scenario((h, { dir, file }) => h.link(file, dir, 'second')),
      [
        { parent: { lo: 2, hi: 0 }, name: 'second' },
        { lo: 3, hi: 0 },
      ],
    ],
    [scenario((h, { file }) => h.write(file, 0, 'bytes')), [{ lo: 3, hi: 0 }]],
  ];
  for (const [its, forgotten] of concerned) {
    const undisturbed = run(its);
    const running = undisturbed.remains.find(({ step }) => step.startsWith('publishing'))!;
    const words = flightWords(running.buffer);
    expect(words[1]).toBe(1);
    words[1] = 3;
    const { resumed, answer, handed } = recover(undisturbed, running);
    expect([resumed, answer.error]).toEqual(['given up', -EIO]);
    expect(handed.forgotten).toEqual(forgotten);
  }
});

test('every opcode that is not completed by running it again has a scenario here', () => {
  const special = Array.from({ length: abi.OPCODES }, (_, opcode) => opcode)
    .filter((opcode) => completionOf(opcode) !== 'again')
    .map(abi.opcodeName);
  expect(special.sort()).toEqual(
    [
      'CREATE',
      'MKNOD',
      'MKDIR',
      'SYMLINK',
      'LINK',
      'UNLINK',
      'RMDIR',
      'RENAME',
      'RENAME2',
      'SETXATTR',
      'REMOVEXATTR',
    ].sort(),
  );
});
