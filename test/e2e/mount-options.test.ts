import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseHelperArguments } from '../../cli/mount-arguments.ts';
import { mountAt, readMounts } from '../../fuse/mount/mountinfo.ts';
import { UserError } from '../../runtime/user-error.ts';
import { CLI, Mounted, missing, NO_FUSE, titled, vexfs } from './mounted.ts';

const HELPER = new URL('../../cli/mount-vexfs.js', import.meta.url).pathname;
const ALICE = 54_001;
const BOB = 54_002;
const UNAVAILABLE =
  process.getuid?.() === 0 ? (missing('setpriv') ?? NO_FUSE) : 'only root can become another user';

/** Exit code of a program that another user runs. */
function as(uid: number, command: string, ...args: string[]): number | null {
  const who = ['--reuid', `${uid}`, '--regid', `${uid}`, '--clear-groups'];
  return spawnSync('setpriv', [...who, command, ...args], { timeout: 20_000 }).status;
}

describe.skipIf(UNAVAILABLE)(titled('a mount with options', UNAVAILABLE), () => {
  let fs: Mounted;

  beforeAll(() => {
    fs = new Mounted();
    chmodSync(fs.root, 0o755);
    fs.mount();
    writeFileSync(join(fs.dir, 'note.md'), 'The ferry leaves for the island at noon.\n', { mode: 0o600 });
    mkdirSync(join(fs.dir, 'sub'), { mode: 0o700 });
    fs.ok(['index', 'wait', fs.dir]);
    fs.unmount();
    fs.mount(['-o', `allow_other,uid=${ALICE},gid=${BOB},umask=037,fsname=my notes,subtype=notes`]);
  });
  afterAll(() => fs?.dispose());

  test('uid, gid and umask: every file is shown so, and the kernel and searches go by what is shown', () => {
    for (const [name, mode] of [
      ['note.md', 0o100740],
      ['sub', 0o040740],
      ['.', 0o040740],
    ] as const) {
      const { uid, gid, mode: seen } = statSync(join(fs.dir, name));
      expect([uid, gid, seen]).toEqual([ALICE, BOB, mode]);
    }
    expect(as(ALICE, 'cat', join(fs.dir, 'note.md'))).toBe(0);
    expect(as(ALICE, 'sh', '-c', `echo x > "${fs.dir}/alices"`)).toBe(0);
    expect(as(BOB, 'ls', fs.dir)).toBe(0);
    expect(as(BOB, 'cat', join(fs.dir, 'note.md'))).not.toBe(0);
    const found = join(fs.dir, '.vexfs/search/when does the ferry leave/01-note.md');
    expect(as(ALICE, 'cat', found)).toBe(0);
    expect(readdirSync(join(fs.dir, '.vexfs/search/ferry to the island'))).not.toEqual([]);
  });

  test('fsname and subtype: the table of mounts has them, and the commands find the mount and its store', () => {
    expect(mountAt(readMounts(), fs.dir)).toMatchObject({
      source: 'my notes',
      type: 'fuse.notes',
      store: fs.store,
    });
    expect(JSON.parse(fs.ok(['status', fs.dir, '--json']))).toMatchObject({ store: fs.store });
  });

  test('a mount in which something is mounted is not unmounted, and the message names it', () => {
    const inner = join(fs.dir, 'sub');
    expect(spawnSync('mount', ['-t', 'tmpfs', 'none', inner]).status).toBe(0);
    try {
      expect(vexfs(['umount', fs.dir])).toMatchObject({
        code: 1,
        stderr: `vexfs: ${fs.dir} is in use: ${inner} is mounted in it; unmount that first\n`,
      });
    } finally {
      spawnSync('umount', [inner]);
    }
  });

  test('mount.vexfs mounts what a line of fstab says, after a crash over what the crash left', async () => {
    await fs.kill();
    const options = 'rw,noauto,nofail,x-systemd.automount,ro,noatime,set=workers.fuse=2';
    const helper = spawnSync(process.execPath, [HELPER, fs.store, fs.dir, '-o', options], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect(helper.stderr).toContain('detached a dead mount');
    expect(helper.status, helper.stderr).toBe(0);
    const { options: seen } = mountAt(readMounts(), fs.dir)!;
    for (const option of ['ro', 'noatime']) expect(seen).toContain(option);
    expect(seen, 'as for any filesystem').not.toContain('nosuid');
    expect(readFileSync(join(fs.dir, 'note.md'), 'utf8')).toContain('ferry');
    expect(statSync(join(fs.dir, 'note.md')).uid).toBe(0);
    expect(() => writeFileSync(join(fs.dir, 'no'), '')).toThrow('EROFS');
    const again = spawnSync(process.execPath, [HELPER, fs.store, fs.dir], { encoding: 'utf8' });
    expect([again.status, again.stderr]).toEqual([32, expect.stringContaining('already has')]);
    // What mount(8) makes of "mount -o remount,noexec DIR".
    const remount = 'ro,noatime,remount,noexec,user_id=0,group_id=0,default_permissions,max_read=1048576';
    const args = [HELPER, fs.store, fs.dir, '-o', remount];
    expect(spawnSync(process.execPath, args, { stdio: 'inherit' }).status).toBe(0);
    const after = mountAt(readMounts(), fs.dir)!.options;
    for (const option of ['ro', 'noatime', 'noexec']) expect(after).toContain(option);
    fs.unmount();
  });
});

/** The one ordinary user whom every Linux has a name for, as fusermount3 asks. */
const NOBODY = 65_534;

/**
 * Runs a script as root with a table of mounts of its own, in which any user may open /dev/fuse and /sbin has nothing but
 * mount.vexfs. It finds CLI, STORE, DIR and SCRATCH; what it mounts it must unmount, and `ended` waits for its process.
 */
function privately(fs: Mounted, script: string): { code: number | null; out: string; said: string } {
  const prelude = `
    mknod -m 666 "$SCRATCH/fuse" c 10 229 && mount --bind "$SCRATCH/fuse" /dev/fuse
    mount -t tmpfs none "$(readlink -f /sbin)"
    printf '#!/bin/sh\\nexec "%s" "%s" "$@"\\n' "$NODE" "$HELPER" > /sbin/mount.vexfs && chmod +x /sbin/mount.vexfs
    vexfs() { "$NODE" "$CLI" "$@"; }
    trap 'umount -l "$DIR" 2> /dev/null || true' EXIT
    ended() { for i in $(seq 300); do [ -e "$STORE/control.sock" ] || return 0; sleep 0.1; done; return 1; }`;
  const { status, stdout, stderr } = spawnSync('unshare', ['--mount', 'sh', '-ec', `${prelude}\n${script}`], {
    env: {
      ...process.env,
      LC_ALL: 'C',
      NODE: process.execPath,
      CLI,
      HELPER,
      STORE: fs.store,
      DIR: fs.dir,
      SCRATCH: mkdtempSync(join(fs.root, 'private-')),
      USER: `setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups`,
    },
    encoding: 'utf8',
    timeout: 120_000,
  });
  return { code: status, out: stdout, said: stderr };
}

const NO_NAMESPACE =
  UNAVAILABLE ??
  (spawnSync('unshare', ['--mount', 'true']).status === 0
    ? undefined
    : 'no table of mounts of its own can be had');

describe.skipIf(NO_NAMESPACE)(titled('mounting as others do it', NO_NAMESPACE), () => {
  let fs: Mounted;

  beforeEach(() => {
    fs = new Mounted();
    chmodSync(fs.root, 0o777);
  });
  afterEach(() => fs.dispose());

  test('a line of fstab: mount DIR mounts, umount refuses while it is in use, and then ends it', () => {
    const { code, out, said } = privately(
      fs,
      `printf '%s %s vexfs noauto,nofail,x-systemd.automount,noatime,fsname=notes,set=workers.fuse=2 0 0\\n' "$STORE" "$DIR" > "$SCRATCH/fstab"
      mount -T "$SCRATCH/fstab" "$DIR"
      echo kept > "$DIR/note"
      grep "$DIR" /proc/mounts
      (cd "$DIR" && umount "$DIR") || echo "umount: $?"
      umount "$DIR" && ended
      mount -t vexfs -o ro "$STORE" "$DIR"
      cat "$DIR/note"
      touch "$DIR/other" || echo "touch: $?"
      vexfs umount "$DIR"`,
    );
    expect(code, said).toBe(0);
    const [, mounted, inUse, , note, refused] = out.split('\n');
    expect(mounted).toMatch(/^notes \S+ fuse\.vexfs rw,\S*noatime/);
    expect([inUse, note, refused]).toEqual(['umount: 32', 'kept', 'touch: 1']);
    expect(said).toMatch(/target is busy[\s\S]*Read-only file system/);
  });

  test.skipIf(missing('fusermount3'))(
    'an ordinary user, through fusermount3: a mount of his own, over a dead one too, and root is kept out unless let in',
    () => {
      const { code, out, said } = privately(
        fs,
        `export XDG_RUNTIME_DIR="$SCRATCH"; chown ${NOBODY} "$SCRATCH" "$DIR"
        as() { $USER "$@"; }
        as "$NODE" "$CLI" mount "$STORE" "$DIR" -o fsname=mine,subtype=notes
        as sh -c 'echo kept > "$DIR/note"; sync "$DIR/note"'
        grep "$DIR" /proc/mounts
        ls "$DIR" || echo "root: $?"
        kill -9 "$(as "$NODE" "$CLI" status "$DIR" --json | grep -o '"pid":[0-9]*' | head -1 | cut -d: -f2)"
        while as ls "$DIR" 2> /dev/null; do sleep 0.1; done
        as "$NODE" "$CLI" mount "$STORE" "$DIR" -o ro
        as cat "$DIR/note"
        as fusermount3 -u "$DIR" && ended
        as "$NODE" "$CLI" mount "$STORE" "$DIR" -o allow_root || echo "allow_root: $?"`,
      );
      expect(code, said).toBe(0);
      const lines = out.split('\n');
      expect(lines[1]).toMatch(/^mine \S+ fuse\.notes rw,nosuid,nodev,\S*user_id=65534/);
      expect(lines).toEqual(expect.arrayContaining(['root: 2', 'kept', 'allow_root: 1']));
      expect(said).toContain('detached a dead mount');
      expect(said).toMatch(/allow_other only allowed if 'user_allow_other' is set/);
    },
  );
});

test.skipIf(missing('systemd-analyze'))('the unit in docs is one that systemd understands', () => {
  const unit = new URL('../../../docs/vexfs@.service', import.meta.url).pathname;
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
});

describe('arguments of mount.vexfs', () => {
  test('are those of mount(8): what is for others is left out, what is for vexfs is found', () => {
    expect(
      parseHelperArguments([
        '/s',
        '/d',
        '-n',
        '-sv',
        '-o',
        'defaults,_netdev,uid=5',
        '-oro,config=/c',
        '-t',
        'vexfs',
      ]),
    ).toEqual({
      store: '/s',
      directory: '/d',
      options: ['uid=5', 'ro'],
      config: '/c',
      set: [],
      fake: false,
    });
    expect(parseHelperArguments(['/s', '/d', '-f', '-r', '-o', 'set=a.b=c,set=d.e=f'])).toMatchObject({
      options: ['ro'],
      set: ['a.b=c', 'd.e=f'],
      fake: true,
    });
  });

  test('the store as an option: what stands in its place is only a name', () => {
    expect(parseHelperArguments(['notes', '/d', '-o', 'store=/s,ro'])).toMatchObject({
      store: '/s',
      directory: '/d',
      options: ['fsname=notes', 'ro'],
    });
  });

  test('of a mount that is there already, they are what any mount can be told, and its defaults', () => {
    const { remount } = parseHelperArguments(['/s', '/d', '-o', 'ro,remount,noatime,user_id=0,allow_other']);
    expect(remount!.slice(-2)).toEqual(['ro', 'noatime']);
    expect(remount).toEqual(expect.arrayContaining(['suid', 'dev', 'exec']));
    expect(parseHelperArguments(['/s', '/d', '-o', 'ro']).remount).toBeUndefined();
  });

  test('that are not understood are refused', () => {
    for (const args of [[], ['/s'], ['/s', '/d', '/e'], ['/s', '/d', '-z']])
      expect(() => parseHelperArguments(args)).toThrow(UserError);
  });
});
