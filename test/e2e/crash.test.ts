/** Rounds of kill -9 under load: VEXFS_CRASH_ROUNDS says how many, VEXFS_CRASH_WRITERS by how many writers. */
import { once } from 'node:events';
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seeded, testSeed } from '../seed.ts';
import { CrashRecord } from './crash-record.ts';
import { Mounted, NO_FUSE, titled } from './mounted.ts';

const ROUNDS = Number(process.env.VEXFS_CRASH_ROUNDS ?? 3);
const WRITERS = Number(process.env.VEXFS_CRASH_WRITERS ?? 3);
const WRITER = new URL('./crash-writer.js', import.meta.url).pathname;
const SEED = testSeed(`kill -9 under load, ${ROUNDS} rounds (VEXFS_CRASH_ROUNDS)`);
/** Rounds whose files are looked at again and again before they are removed. */
const KEPT = 4;

describe.skipIf(NO_FUSE)(titled('kill -9 under load', NO_FUSE), () => {
  const random = seeded(SEED);
  const rounds: { directory: string; records: CrashRecord[] }[] = [];
  let fs: Mounted;
  let promises = 0;
  beforeAll(() => {
    // Files of one round are compressed in the next.
    fs = new Mounted('[store]\ncompress = "cold"\ncompress_after_s = 1\n');
    fs.mount();
  });
  afterAll(() => {
    console.log(`kill -9 under load: ${promises} promises were looked at`);
    fs?.dispose();
  });

  test('bytes that an fsync has made durable in the log alone are in a large file again after the next mount', async () => {
    const large = join(fs.dir, 'large');
    const bytes = Buffer.alloc(40_000, 'a');
    const record = Buffer.from('written and synced');
    const file = openSync(large, 'w');
    writeSync(file, bytes);
    fsyncSync(file);
    const objects = readdirSync(join(fs.store, 'objects'), { recursive: true, withFileTypes: true });
    const object = objects.find((entry) => entry.isFile())!;
    const path = join(object.parentPath, object.name);
    for (const at of [100, bytes.length]) {
      writeSync(file, record, 0, record.length, at);
      fsyncSync(file);
    }
    await fs.kill();
    closeSync(file);
    // As after a power cut: what nobody synced is as it was.
    writeFileSync(path, bytes);
    fs.mount();
    const due = Buffer.concat([bytes, record]);
    record.copy(due, 100);
    expect(readFileSync(large).equals(due)).toBe(true);
    rmSync(large);
  }, 60_000);

  for (let round = 0; round < ROUNDS; round++) {
    test(`round ${round}: after the next mount every file that had been fsynced is whole`, async () => {
      const directory = join(fs.dir, `round-${round}`);
      fs.run('mkdir', [directory]);
      const records: CrashRecord[] = [];
      const ended: Promise<unknown>[] = [];
      for (let w = 0; w < WRITERS; w++) {
        const folder = join(directory, String(w));
        const record = new CrashRecord(folder);
        const writer = fs.start(process.execPath, [WRITER, folder]);
        writer.stdout!.setEncoding('utf8').on('data', (text: string) => record.hear(text));
        ended.push(once(writer, 'close'));
        records.push(record);
      }
      rounds.push({ directory, records });
      const enough = 20 + random(150);
      const said = (): number => records.reduce((sum, record) => sum + record.promises, 0);
      while (said() < enough) await new Promise((resume) => setTimeout(resume, 5));
      await fs.kill();
      await Promise.all(ended);
      promises += said();

      fs.mount();
      for (const { records } of rounds) for (const record of records) record.verify();
      expect(said()).toBeGreaterThanOrEqual(enough);
      if (rounds.length > KEPT) rmSync(rounds.shift()!.directory, { recursive: true });
    }, 120_000);
  }
});
