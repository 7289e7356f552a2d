import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { chooseMount, pathInMount } from '../../cli/mounts.ts';
import { parseMountinfo } from '../../fuse/mount/mountinfo.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'vexfs-mounts-')));
afterAll(() => rmSync(root, { recursive: true }));

for (const directory of ['one/sub', 'two words', 'one/disk'])
  mkdirSync(join(root, directory), { recursive: true });

const line = (at: string, type: string, source: string): string =>
  `36 28 0:32 / ${at.replaceAll(' ', '\\040')} rw,relatime shared:1 - ${type} ${source.replaceAll(' ', '\\040')} rw`;

const disk = line('/', 'ext4', '/dev/sda1');
const one = line(join(root, 'one'), 'fuse.vexfs', '/stores/one');
const two = line(join(root, 'two words'), 'fuse.vexfs', '/stores/number two');
const sshfs = line(join(root, 'one/disk'), 'fuse.sshfs', 'host:');

const only = parseMountinfo([disk, one].join('\n'));
const both = parseMountinfo([disk, one, two, sshfs].join('\n'));

test('the only mount is taken wherever one is', () => {
  expect(chooseMount(only, {}, '/')).toEqual({ directory: join(root, 'one'), store: '/stores/one' });
  expect(chooseMount(only, { near: '/etc' }, undefined).store).toBe('/stores/one');
});

test('of several mounts the one that contains the path, else the current directory, is taken', () => {
  expect(chooseMount(both, {}, join(root, 'one/sub')).store).toBe('/stores/one');
  expect(chooseMount(both, { near: join(root, 'two words/x') }, join(root, 'one')).store).toBe(
    '/stores/number two',
  );
  expect(chooseMount(both, { mount: join(root, 'one/sub/missing') }, '/').store).toBe('/stores/one');
});

test('of several mounts the only one below the current directory is taken', () => {
  const elsewhere = line('/elsewhere', 'fuse.vexfs', '/stores/three');
  const mounts = parseMountinfo([disk, one, elsewhere].join('\n'));
  expect(chooseMount(mounts, {}, root).store).toBe('/stores/one');
  expect(() => chooseMount(both, {}, root)).toThrow(/several/);
});

test('a path on another filesystem below a mount is not in the mount', () => {
  expect(() => chooseMount(both, { mount: join(root, 'one/disk') }, '/')).toThrow(/is not in a VexFS mount/);
});

test('no mount, a wrong directory, and a choice between several are each reported with what to do', () => {
  expect(() => chooseMount(parseMountinfo(disk), {}, '/')).toThrow(
    'no VexFS is mounted; "vexfs mount STORE DIR"',
  );
  expect(() => chooseMount(both, { mount: '/etc' }, '/')).toThrow(
    `/etc is not in a VexFS mount; mounted: ${root}/one, ${root}/two words`,
  );
  expect(() => chooseMount(both, {}, '/')).toThrow(/several VexFS are mounted \(.*\); name the directory/);
});

test('a path is named as the filesystem knows it, whether given from here, through a link, or from its root', () => {
  const mount = { directory: join(root, 'one'), store: '/stores/one' };
  writeFileSync(join(root, 'one/sub/a.md'), '');
  symlinkSync(join(root, 'one/sub'), join(root, 'link'));
  expect(pathInMount(mount, join(root, 'one'))).toBe('/');
  expect(pathInMount(mount, join(root, 'link/a.md'))).toBe('/sub/a.md');
  expect(pathInMount(mount, 'sub/a.md')).toBe('/sub/a.md');
  expect(pathInMount(mount, '/sub')).toBe('/sub');
  expect(() => pathInMount(mount, '/nowhere')).toThrow('/nowhere does not exist');
  expect(() => pathInMount(mount, '/etc')).toThrow(`/etc is not in the mount ${root}/one`);
});
