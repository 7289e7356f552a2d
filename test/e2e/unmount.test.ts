import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Mounted, NO_FUSE, titled, vexfs } from './mounted.ts';

describe.skipIf(NO_FUSE)(titled('unmounting', NO_FUSE), () => {
  let fs: Mounted;
  beforeEach(() => {
    fs = new Mounted();
    fs.mount();
  });
  afterEach(() => fs?.dispose());

  test('a mount in use stays, and the message names who uses it', async () => {
    const user = fs.start('sleep', ['60']);
    try {
      const refused = vexfs(['umount', fs.dir]);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain(`in use by ${user.pid} (sleep)`);
      writeFileSync(join(fs.dir, 'a'), 'still here');
    } finally {
      user.kill();
      await once(user, 'exit');
    }
    fs.unmount();
  });

  test('--lazy detaches a mount in use at once; it ends, with everything saved, when its last user has', async () => {
    const { pid } = fs;
    const user = fs.start('sh', ['-c', 'read -r _; echo late > late; cat early']);
    writeFileSync(join(fs.dir, 'early'), 'early');
    const started = performance.now();
    expect(vexfs(['umount', '--lazy', fs.dir]).code).toBe(0);
    expect(performance.now() - started).toBeLessThan(20_000);
    expect(existsSync(join(fs.dir, 'early'))).toBe(false);
    expect(vexfs(['mount', fs.store, fs.dir]).stderr).toContain(String(pid));
    const read = user.stdout!.toArray();
    user.stdin!.end();
    expect(Buffer.concat(await read).toString()).toBe('early');
    while (existsSync(`/proc/${pid}`)) await new Promise((resume) => setTimeout(resume, 20));
    fs.mount();
    expect(readFileSync(join(fs.dir, 'late'), 'utf8')).toBe('late\n');
    fs.unmount();
  });

  test('of a mount whose process was killed, status says how to get it back, and umount takes it away', async () => {
    await fs.kill();
    const status = vexfs(['status', fs.dir]);
    expect(status.code).toBe(1);
    expect(status.stderr).toContain(`"vexfs mount ${fs.store} ${fs.dir}"`);
    expect(vexfs(['umount', fs.dir]).code).toBe(0);
    expect(vexfs(['umount', fs.dir])).toMatchObject({
      code: 1,
      stderr: `vexfs: nothing is mounted at ${fs.dir}\n`,
    });
  });
});
