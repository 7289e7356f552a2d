import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Mounted, missing, NO_FUSE, titled } from './mounted.ts';

const GIT = ['-c', 'user.name=VexFS', '-c', 'user.email=vexfs@example.org', '-c', 'init.defaultBranch=main'];

const NO_GIT = missing('git');
const NO_SQLITE = missing('sqlite3');
const NO_RSYNC = missing('rsync');
const NO_GCC = missing('gcc');
const NO_VIM = missing('vim');

/** A repository (without git, only its files) with history, merges of sizes, an executable and a link. */
function makeRepository(dir: string): void {
  const git = (...args: string[]): void => {
    if (!NO_GIT) execFileSync('git', [...GIT, ...args], { cwd: dir, stdio: 'pipe' });
  };
  mkdirSync(join(dir, 'src/deep/er'), { recursive: true });
  git('init', '-q');
  for (let revision = 0; revision < 5; revision++) {
    for (let i = 0; i < 120; i++) {
      writeFileSync(
        join(dir, i % 3 ? 'src' : 'src/deep/er', `file-${i}.txt`),
        `${revision} ${i}\n`.repeat(1 + ((i * 37) % 900)),
      );
    }
    git('add', '-A');
    git('commit', '-q', '-m', `revision ${revision}`);
  }
  writeFileSync(join(dir, 'run.sh'), '#!/bin/sh\necho ran\n', { mode: 0o755 });
  symlinkSync('run.sh', join(dir, 'link'));
  git('add', '-A');
  git('commit', '-q', '-m', 'an executable and a link');
}

const MOUNTS = [
  { name: 'as mounted by default', config: '' },
  { name: 'with three fuse actors and writeback', config: '[workers]\nfuse = 3\n[fuse]\nwriteback = true\n' },
];

describe.each(MOUNTS)('everyday tools, $name', ({ config }) => {
  describe.skipIf(NO_FUSE)(titled('inside the mount', NO_FUSE), () => {
    let fs: Mounted;
    let outside: string;

    beforeAll(() => {
      fs = new Mounted(config);
      fs.mount();
      outside = mkdtempSync(join(tmpdir(), 'vexfs-outside-'));
      mkdirSync(join(outside, 'repository'));
      makeRepository(join(outside, 'repository'));
    });
    afterAll(() => {
      fs?.dispose();
      rmSync(outside, { recursive: true, force: true });
    });

    test.skipIf(NO_GIT)(titled('a git clone is clean for fsck and status, also after gc', NO_GIT), () => {
      fs.run('git', ['clone', '-q', '--no-hardlinks', join(outside, 'repository'), 'clone']);
      const cwd = join(fs.dir, 'clone');
      expect(fs.run('git', ['fsck', '--full', '--strict'], { cwd })).toBe('');
      expect(fs.run('git', ['status', '--porcelain'], { cwd })).toBe('');
      fs.run('git', ['gc', '-q', '--aggressive', '--prune=now'], { cwd });
      expect(fs.run('git', ['fsck', '--full'], { cwd })).toBe('');
      expect(fs.run('git', ['status', '--porcelain'], { cwd })).toBe('');
      expect(fs.run('./run.sh', [], { cwd })).toBe('ran\n');
    });

    for (const mode of ['DELETE', 'WAL']) {
      test.skipIf(NO_SQLITE)(titled(`sqlite3 in ${mode} mode keeps 10,000 inserts whole`, NO_SQLITE), () => {
        const file = `${mode}.db`;
        const inserts = Array.from({ length: 100 }, (_, batch) =>
          [
            'BEGIN;',
            ...Array.from(
              { length: 100 },
              (_, i) => `INSERT INTO t VALUES(${batch * 100 + i}, hex(randomblob(80)));`,
            ),
            'COMMIT;',
          ].join('\n'),
        ).join('\n');
        const script = `PRAGMA journal_mode=${mode}; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);\n${inserts}`;
        writeFileSync(join(outside, 'script.sql'), script);
        fs.run('sqlite3', ['-bail', file, `.read ${join(outside, 'script.sql')}`]);
        expect(fs.run('sqlite3', [file, 'PRAGMA integrity_check; SELECT count(*) FROM t;'])).toBe(
          'ok\n10000\n',
        );
      });
    }

    test('cp -a keeps modes, times, links and xattr-free metadata', () => {
      const source = join(outside, 'repository');
      utimesSync(join(source, 'run.sh'), 1_000_000_000.5, 1_234_567_890.25);
      fs.run('cp', ['-a', source, 'copy']);
      expect(fs.run('diff', ['-r', '--no-dereference', source, 'copy'])).toBe('');
      const copy = statSync(join(fs.dir, 'copy/run.sh'));
      expect(copy.mode & 0o777).toBe(0o755);
      expect(copy.mtimeMs).toBe(1_234_567_890_250);
    });

    test('tar packs and unpacks to the same tree', () => {
      fs.run('tar', ['-C', outside, '-cf', 'repository.tar', 'repository']);
      fs.run('tar', ['-xf', 'repository.tar']);
      expect(fs.run('diff', ['-r', '--no-dereference', join(outside, 'repository'), 'repository'])).toBe('');
    });

    test.skipIf(NO_RSYNC)(titled('rsync finds nothing left to do after its first run', NO_RSYNC), () => {
      const source = `${join(outside, 'repository')}/`;
      fs.run('rsync', ['-a', source, 'synced/']);
      expect(fs.run('rsync', ['-ai', '--checksum', source, 'synced/'])).toBe('');
    });

    test.skipIf(NO_GCC)(titled('gcc compiles, links and the program runs', NO_GCC), () => {
      writeFileSync(
        join(fs.dir, 'hello.c'),
        '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n',
      );
      fs.run('gcc', ['-O1', '-o', 'hello', 'hello.c']);
      expect(fs.run('./hello', [])).toBe('hello\n');
    });

    test.skipIf(NO_VIM)(titled('vim saves through its swap file and rename', NO_VIM), () => {
      writeFileSync(join(fs.dir, 'letter.txt'), 'one\ntwo\n');
      fs.run('vim', ['-u', 'NONE', '-es', '-c', '1s/one/three/', '-c', 'wq', 'letter.txt']);
      expect(readFileSync(join(fs.dir, 'letter.txt'), 'utf8')).toBe('three\ntwo\n');
    });

    test('a file that was unlinked while open can still be read through its descriptor', () => {
      const script = `exec 3<>gone.txt; echo kept >&3; rm gone.txt; cat /proc/self/fd/3; ls gone.txt 2>/dev/null || echo absent`;
      expect(fs.run('bash', ['-c', script])).toBe('kept\nabsent\n');
    });

    test('a sparse file of 1 GiB reads zeros in its hole and its last byte', () => {
      fs.run('truncate', ['-s', '1G', 'sparse']);
      fs.run('bash', ['-c', 'printf x | dd of=sparse bs=1 seek=1073741823 conv=notrunc status=none']);
      expect(statSync(join(fs.dir, 'sparse')).size).toBe(1 << 30);
      expect(fs.run('bash', ['-c', 'tail -c 1 sparse; head -c 100000 sparse | tr -d "\\0" | wc -c'])).toBe(
        'x0\n',
      );
    });
  });
});
