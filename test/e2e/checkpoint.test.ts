/** Checkpoints that are made while a mount serves: under load, through kills, and with a thread that dies. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ControlClient } from '../../cli/client.ts';
import type { CheckpointReport, Status } from '../../cli/protocol.ts';
import { CrashRecord } from './crash-record.ts';
import { Mounted, NO_FUSE, titled } from './mounted.ts';

const ROUNDS = Number(process.env.VEXFS_CRASH_ROUNDS ?? 1);
const WRITER = new URL('./crash-writer.js', import.meta.url).pathname;
/** So that they follow each other under any load. */
const EAGER = '[store]\ncheckpoint_bytes = "64KiB"\nlog_segment = "1MiB"\n';

/** Threads that are killed: some begin, some write, some are done. */
const KILLS = 8;

/** Ends the thread that makes a checkpoint `ms` after it began, if there still is one then. */
async function endThread(client: ControlClient, ms: number): Promise<void> {
  const row = async () => (await client.call('status', {})).actors.find(({ name }) => name === 'checkpoint');
  let last = await row();
  for (const patience = performance.now() + 500; last === undefined && performance.now() < patience; )
    last = await row();
  await new Promise((resume) => setTimeout(resume, ms));
  if (last !== undefined) expect(last).toMatchObject({ state: 'busy', doing: expect.any(String) });
  await client.call('kill', { actor: 'checkpoint', how: 'end' }).catch((error: Error) => {
    expect(error.message).toBe("there is no thread 'checkpoint' now");
  });
}

describe.skipIf(NO_FUSE)(titled('checkpoints of a mounted store', NO_FUSE), () => {
  let fs: Mounted;
  beforeEach(() => {
    fs = new Mounted(EAGER);
  });
  afterEach(() => fs?.dispose());

  const status = (): Status => JSON.parse(fs.ok(['status', fs.dir, '--json'])) as Status;
  const checkpoint = (): CheckpointReport =>
    JSON.parse(fs.ok(['checkpoint', fs.dir, '--json'])) as CheckpointReport;
  const checkpoints = (): string[] => readdirSync(join(fs.store, 'checkpoint'));

  test('made on demand: names, contents and what is found by text are there after a kill, with hardly a log', async () => {
    fs.mount();
    fs.run('mkdir', ['d']);
    for (let n = 0; n < 50; n++)
      writeFileSync(join(fs.dir, 'd', `f${n}.txt`), `the number ${n} and its neighbours`);
    writeFileSync(join(fs.dir, 'd', 'kettle.txt'), 'how to descale a kettle with vinegar');
    fs.ok(['index', 'wait', fs.dir]);
    const made = checkpoint();
    expect(made.kind).toBeOneOf(['made', 'current']);
    const found = JSON.parse(fs.ok(['search', 'descaling kettles', '--mount', fs.dir, '--json'])) as {
      path: string;
    }[];
    expect(found[0]?.path).toBe(join(fs.dir, 'd', 'kettle.txt'));
    await fs.kill();
    fs.mount();
    expect(status()).toMatchObject({ storage: { checkpointLsn: expect.any(Number) }, index: { pending: 0 } });
    expect(status().storage!.replayedRecords).toBeLessThan(20);
    expect(readFileSync(join(fs.dir, 'd', 'f7.txt'), 'utf8')).toBe('the number 7 and its neighbours');
    const again = JSON.parse(
      fs.ok(['search', 'descaling kettles', '--mount', fs.dir, '--json']),
    ) as unknown[];
    expect(again).toEqual(found);
    fs.unmount();
  }, 120_000);

  for (let round = 0; round < ROUNDS; round++) {
    test(`round ${round}: kill -9 in the midst of writers and checkpoints: every file that had been fsynced is whole`, async () => {
      fs.mount();
      const records: CrashRecord[] = [];
      for (let part = 0; part < 3; part++) {
        const record = new CrashRecord(join(fs.dir, `part-${part}`));
        const writer = fs.start(process.execPath, [WRITER, record.directory]);
        writer.stdout!.setEncoding('utf8').on('data', (text: string) => record.hear(text));
        const ended = once(writer, 'close');
        const target = part === 0 ? 3 : 1;
        while (record.promises < 60 + round * 7 || (status().checkpoint?.made ?? 0) < target)
          await new Promise((resume) => setTimeout(resume, 10));
        await fs.kill();
        await ended;
        fs.mount();
        records.push(record);
        for (const each of records) each.verify();
        expect(status().checkpoint?.failure).toBeUndefined();
      }
      fs.unmount();
    }, 240_000);
  }

  test('its thread is killed at any moment: it is told, the mount goes on, and the next one succeeds', async () => {
    fs.mount();
    const client = await ControlClient.connect(fs.store);
    const outcomes = new Map<string, number>();
    for (let n = 0; n < KILLS; n++) {
      writeFileSync(join(fs.dir, `f${n}.txt`), `the number ${n}`.repeat(100));
      const made = client.call('checkpoint', {}).then(
        ({ kind }) => kind,
        (error: Error) => error.message,
      );
      await endThread(client, n * 8);
      const outcome = await made;
      expect(outcome).toBeOneOf(['made', 'current', 'no checkpoint was made: its thread ended']);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    // How many were made before they were killed, the machine decides.
    expect(outcomes.get('no checkpoint was made: its thread ended')).toBeGreaterThan(0);
    client.close();
    fs.ok(['index', 'wait', fs.dir]);
    writeFileSync(join(fs.dir, 'last'), 'z');
    expect(checkpoint().kind).toBeOneOf(['made', 'current']);
    expect(checkpoints().filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(status().checkpoint?.failure).toBeUndefined();
    await fs.kill();
    fs.mount();
    for (let n = 0; n < KILLS; n++)
      expect(readFileSync(join(fs.dir, `f${n}.txt`), 'utf8')).toBe(`the number ${n}`.repeat(100));
    fs.unmount();
  }, 120_000);

  test('one that cannot be written: it is told, the older ones stay, the mount goes on', async () => {
    fs.mount();
    writeFileSync(join(fs.dir, 'f'), 'x');
    expect(checkpoint().kind).toBeOneOf(['made', 'current']);
    // A name that the next checkpoint wants for itself, and cannot delete.
    const before = checkpoints();
    const next = String(Number(before.at(-1)) + 1).padStart(8, '0');
    execFileSync('mkdir', ['-p', join(fs.store, 'checkpoint', `${next}.tmp`, 'in-the-way', 'deep')]);
    writeFileSync(join(fs.dir, 'g'), 'y');
    expect(() => checkpoint()).toThrow(/no checkpoint was made: it cannot be written/);
    expect(status().checkpoint?.failure).toMatch(/cannot be written/);
    expect(fs.ok(['status', fs.dir])).toMatch(/the last attempt failed/);
    writeFileSync(join(fs.dir, 'h'), 'z');
    execFileSync('rm', ['-r', join(fs.store, 'checkpoint', `${next}.tmp`)]);
    expect(checkpoint().kind).toBeOneOf(['made', 'current']);
    expect(status().checkpoint?.failure).toBeUndefined();
    expect(checkpoints()).toHaveLength(2);
    fs.unmount();
  }, 120_000);
});
