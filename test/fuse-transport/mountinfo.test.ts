import { describe, expect, it } from 'vitest';
import { isVexfs, mountAt, mountContaining, parseMountinfo, readMounts } from '../../fuse/mount/mountinfo.ts';

const SAMPLE = [
  '22 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
  '36 22 0:30 / /mnt rw,nosuid shared:5 master:1 - fuse.vexfs /srv/my\\040store rw,user_id=0,allow_other',
  '37 22 0:31 / /mnt/a\\134b\\011c\\012d rw - fuse.vexfs /srv/\u00e4 ro',
  '38 22 0:32 / /mnt rw - tmpfs none rw',
  '39 22 0:33 / /home/x rw - fuse.sshfs host: rw',
  'not a mountinfo line',
  '',
].join('\n');
// The kernel writes bytes; the file is read as such.
const mounts = parseMountinfo(Buffer.from(SAMPLE, 'utf8').toString('latin1'));

describe('mountinfo', () => {
  it('is decoded, octal escapes and UTF-8 included, and bad lines are skipped', () => {
    expect(mounts).toHaveLength(5);
    expect(mounts[1]).toEqual({
      device: '0:30',
      mountPoint: '/mnt',
      options: ['rw', 'nosuid'],
      type: 'fuse.vexfs',
      source: '/srv/my store',
      store: '/srv/my store',
    });
    expect(mounts[2]).toMatchObject({ mountPoint: '/mnt/a\\b\tc\nd', source: '/srv/ä' });
    expect(mounts.filter(isVexfs)).toHaveLength(2);
  });

  it('finds the visible mount of a directory, the mount around a path, and the mounts of a store', () => {
    expect(mountAt(mounts, '/mnt')!.type).toBe('tmpfs');
    expect(mountAt(mounts, '/mn')).toBeUndefined();
    expect(mountContaining(mounts, '/home/x/y')!.source).toBe('host:');
    expect(mountContaining(mounts, '/home/xy')!.mountPoint).toBe('/');
    expect(mounts.filter(({ store }) => store === '/srv/my store').map((m) => m.device)).toEqual(['0:30']);
  });

  it('of this system has a /proc', () => {
    expect(mountContaining(readMounts(), '/proc/self')!.mountPoint).toBe('/proc');
  });
});
