import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLI, Mounted, missing, NO_FUSE, titled } from './mounted.ts';

const NOBODY = 65_534;
const GROUP = 54_321;
const QUERY = 'feeding the old tortoise';
const TEXT = 'The old tortoise is fed dandelions and cucumber every other day.\n';

function unavailable(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can become another user';
  return missing('setpriv') ?? NO_FUSE;
}

/** Another user has to be able to start the command line. */
function notForOthers(): string | undefined {
  if (unavailable()) return unavailable();
  const { status } = spawnSync('setpriv', ['--reuid', `${NOBODY}`, '--clear-groups', 'test', '-r', CLI]);
  return status === 0 ? undefined : 'other users cannot read this directory';
}

describe.skipIf(unavailable())(titled('what a search shows to whom', unavailable()), () => {
  let fs: Mounted;

  beforeAll(() => {
    fs = new Mounted();
    chmodSync(fs.root, 0o755);
    fs.mount(['-o', 'allow_other']);
    const write = (name: string, mode: number): void => {
      writeFileSync(join(fs.dir, name), TEXT);
      chmodSync(join(fs.dir, name), mode);
    };
    chmodSync(fs.dir, 0o755);
    write('for-all.md', 0o644);
    write('for-root.md', 0o600);
    write('for-the-group.md', 0o640);
    chownSync(join(fs.dir, 'for-the-group.md'), 0, GROUP);
    mkdirSync(join(fs.dir, 'closed'));
    write('closed/open-in-closed.md', 0o644);
    chmodSync(join(fs.dir, 'closed'), 0o700);
    fs.ok(['index', 'wait', fs.dir]);
  });
  afterAll(() => fs?.dispose());

  /** Names in a directory, as an ordinary user sees them, without their ranks and in order. */
  const seenBy = (groups: readonly number[], directory: string): string[] => {
    const as = ['--reuid', `${NOBODY}`, '--regid', `${NOBODY}`];
    const supplementary = groups.length > 0 ? ['--groups', groups.join(',')] : ['--clear-groups'];
    const { status, stdout, stderr } = spawnSync(
      'setpriv',
      [...as, ...supplementary, 'ls', join(fs.dir, directory)],
      { encoding: 'utf8', timeout: 20_000 },
    );
    expect(status, stderr).toBe(0);
    return stdout.split('\n').filter(Boolean).map(unranked).toSorted();
  };
  const unranked = (name: string): string => name.replace(/^\d+-/, '');

  /** What .vexfs/query answers an ordinary user, request by request. */
  const answersTo = (requests: readonly object[]): unknown[] => {
    const script = 'exec 3<>"$0"; printf %s "$1" >&3; cat <&3';
    const as = ['--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups'];
    const file = join(fs.dir, '.vexfs/query');
    const text = requests.map((request) => JSON.stringify(request)).join('');
    const { stdout, stderr } = spawnSync('setpriv', [...as, 'sh', '-c', script, file, text], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(stderr).toBe('');
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  };

  test('root finds every file, and its answer is not the one a user gets for the same words', () => {
    const all = ['for-all.md', 'for-root.md', 'for-the-group.md', 'open-in-closed.md'];
    const seenByRoot = (): string[] =>
      readdirSync(join(fs.dir, '.vexfs/search', QUERY))
        .map(unranked)
        .toSorted();
    expect(seenByRoot()).toEqual(all);
    expect(seenBy([], `.vexfs/search/${QUERY}`)).toEqual(['for-all.md']);
    expect(seenByRoot()).toEqual(all);
  });

  test('a user finds neither what may not be read nor what lies in a directory that may not be entered', () => {
    expect(seenBy([], `.vexfs/search/${QUERY}`)).toEqual(['for-all.md']);
    expect(seenBy([], '.vexfs/search/tortoise')).toEqual(['for-all.md']);
  });

  test('a supplementary group counts', () => {
    expect(seenBy([GROUP], `.vexfs/search/${QUERY}`)).toEqual(['for-all.md', 'for-the-group.md']);
  });

  test('files like one are filtered too, and those like a file that may not be read are not shown at all', () => {
    expect(seenBy([GROUP], '.vexfs/similar/for-all.md')).toEqual(['for-the-group.md']);
    const { status } = spawnSync(
      'setpriv',
      ['--reuid', `${NOBODY}`, '--clear-groups', 'ls', join(fs.dir, '.vexfs/similar/for-root.md')],
      { timeout: 20_000 },
    );
    expect(status).not.toBe(0);
  });

  test('a request about a path in a directory that may not be entered is answered the same, whatever is there', () => {
    const asked = (request: object): unknown => answersTo([request])[0];
    for (const path of ['/closed/open-in-closed.md', '/closed/no-such-file.md']) {
      const refused = { error: `${path} may not be read` };
      expect(asked({ op: 'similar', path })).toEqual(refused);
      expect(asked({ op: 'search', text: 'tortoise', filter: { under: path } })).toEqual(refused);
    }
    expect(asked({ op: 'similar', path: '/no-such-file.md' })).toEqual({
      error: 'there is no /no-such-file.md',
    });
  });

  test('other users leave collections for the owner of the store to make', () => {
    const create = Array.from({ length: 49 }, (_, i) => ({
      op: 'create-collection',
      name: `c${i}`,
      dimension: 2,
    }));
    const answers = answersTo(create).map((answer) => Object.keys(answer as object)[0]);
    expect(answers).toEqual([...new Array(48).fill('created'), 'error']);
    fs.ok(['collection', 'create', 'own', '--dimension', '2', '--mount', fs.dir]);
  });

  test('a file that was closed to others is not found by them any more, without being indexed again', () => {
    chmodSync(join(fs.dir, 'for-all.md'), 0o600);
    expect(seenBy([], `.vexfs/search/${QUERY}`)).toEqual([]);
    chmodSync(join(fs.dir, 'for-all.md'), 0o644);
    expect(seenBy([], `.vexfs/search/${QUERY}`)).toEqual(['for-all.md']);
  });

  test.skipIf(notForOthers())(
    titled('the control socket is for the owner of the store and root', notForOthers()),
    () => {
      chmodSync(fs.store, 0o755);
      const { status, stderr } = spawnSync(
        'setpriv',
        ['--reuid', `${NOBODY}`, '--clear-groups', process.execPath, CLI, 'search', QUERY, '-m', fs.dir],
        { encoding: 'utf8', timeout: 20_000 },
      );
      expect(status, stderr).toBe(1);
      expect(stderr).toMatch(/^vexfs: the store .* belongs to another user; .*\n$/);
    },
  );
});
