import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contentOf } from './crash-content.ts';
import { Mounted, NO_FUSE, titled } from './mounted.ts';

const ROUNDS = Number(process.env.VEXFS_CRASH_ROUNDS ?? 3);
const WRITER = new URL('./crash-writer.js', import.meta.url).pathname;

describe.skipIf(NO_FUSE)(titled('kill -9 during a copy', NO_FUSE), () => {
  let fs: Mounted;
  beforeAll(() => {
    fs = new Mounted();
  });
  afterAll(() => fs?.dispose());

  for (let round = 0; round < ROUNDS; round++) {
    test(`round ${round}: after the next mount every file that had been fsynced is whole`, async () => {
      fs.mount();
      const directory = join(fs.dir, `round-${round}`);
      fs.run('mkdir', [directory]);
      const writer = fs.start(process.execPath, [WRITER, directory]);
      const durable: number[] = [];
      let pending = '';
      writer.stdout!.setEncoding('utf8').on('data', (text: string) => {
        pending += text;
        const lines = pending.split('\n');
        pending = lines.pop()!;
        durable.push(...lines.map(Number));
      });
      const ended = once(writer, 'exit');
      while (durable.length < 40 + round * 7) await new Promise((resume) => setTimeout(resume, 10));
      await fs.kill();
      await ended;

      fs.mount();
      for (const i of durable) {
        const path = [join(directory, `file-${i}`), join(directory, `file-${i}.tmp`)].find(existsSync);
        expect(path, `file-${i}`).toBeDefined();
        expect(readFileSync(path!).equals(contentOf(i)), path).toBe(true);
      }
      fs.unmount();
    }, 120_000);
  }
});
