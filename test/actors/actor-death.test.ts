/** Actors that fail while the mount serves are started again; one that fails too often ends it, in order. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NO_FUSE, titled } from '../e2e/mounted.ts';
import { Place, SMALL } from './daemon.ts';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.dispose());

interface Writer {
  /** Files that were written and fsynced so far, those before the first included. */
  readonly count: number;
  /** Resolves with that number once a call has failed, or the writer was told to end. */
  readonly ended: Promise<number>;
  end(): void;
}

/** Writes and fsyncs numbered files from `first` on, in a process of its own. */
function writer(directory: string, first = 0): Writer {
  const program = `
    const fs = require('fs');
    let isOver = false;
    process.on('message', () => { isOver = true; });
    (function next(n) {
      if (isOver) process.exit();
      try {
        const fd = fs.openSync(${JSON.stringify(directory)} + '/file-' + n, 'w');
        fs.writeSync(fd, 'content ' + n + '.'.repeat(n % 7 === 0 ? 40000 : 10));
        fs.fsyncSync(fd);
        fs.closeSync(fd);
      } catch (error) {
        process.send({ failed: String(error) }, () => process.exit());
        return;
      }
      process.send({ count: n + 1 });
      setImmediate(next, n + 1);
    })(${first})`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  let count = first;
  child.on('message', (message: { count?: number }) => {
    count = message.count ?? count;
  });
  return {
    get count() {
      return count;
    },
    ended: new Promise((resolve) => child.on('close', () => resolve(count))),
    end: () => child.send('end'),
  };
}

function content(n: number): string {
  return `content ${n}${'.'.repeat(n % 7 === 0 ? 40_000 : 10)}`;
}

async function wrote(writer: Writer, files: number): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (writer.count < files) {
    if (performance.now() > deadline) throw new Error(`the writer stands still at ${writer.count} files`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function expectFiles(count: number): void {
  for (let n = 0; n < count; n++) {
    expect(readFileSync(join(place.directory, `file-${n}`), 'utf8')).toBe(content(n));
  }
}

/** Of the configuration below, all: those that fail at the same time side by side. */
const TOGETHER = [['shard-0', 'fuse-0'], ['io-0'], ['io-1', 'indexer'], ['pool', 'stats', 'fuse-1']];
const ACTORS = TOGETHER.flat();
/** A busy machine takes longer than that for many a thing: only for what is to hang. */
const QUICK_TO_HANG = 'supervision.hang_ms=2000';
const QUICK = [...SMALL, 'supervision.heartbeat_ms=50', 'supervision.heap_mib=64'];

describe.skipIf(NO_FUSE)(titled('an actor that fails while the mount serves', NO_FUSE), () => {
  test.each([
    ['end', /ended with code 1/],
    ['crash', /a drill/],
    ['hang', /hangs/],
    ['memory', /memory/],
  ] as const)(
    'by %s: each is started again, a writer goes on, and nothing is lost',
    async (how, complaint) => {
      const daemon = await place.mount(how === 'hang' ? [...QUICK, QUICK_TO_HANG] : QUICK);
      const writing = writer(place.directory);
      await wrote(writing, 8);
      for (const actors of TOGETHER) {
        for (const actor of actors) {
          if (how === 'end') daemon.terminate(actor);
          else daemon.drill(actor, how);
        }
        for (const actor of actors) {
          await daemon.restarted(actor);
          const { lastError } = await daemon.describe(actor);
          // One that was being taken down as the tables were made anew has not failed.
          if (how !== 'end' || lastError !== undefined) expect(lastError).toMatch(complaint);
        }
        await wrote(writing, writing.count + 8);
      }
      writing.end();
      const count = await writing.ended;
      expectFiles(count);
      expect(await daemon.stop()).toEqual({ stopped: true });
      expect(await daemon.end()).toBe(0);
      expect(daemon.notices).toEqual([]);

      const again = await place.mount();
      expectFiles(count);
      expect(await again.stop()).toEqual({ stopped: true });
      expect(await again.end()).toBe(0);
    },
  );

  test('any of them, once more than allowed: a clear notice, exit code 1, nothing mounted, no call hangs, no fsynced file is lost', async () => {
    let written = 0;
    for (const actor of ['shard-0', 'io-0', 'io-1', 'indexer', 'fuse-1', 'pool']) {
      const daemon = await place.mount([...QUICK, 'supervision.restarts=0']);
      expectFiles(written);
      const writing = writer(place.directory, written);
      await wrote(writing, written + 8);
      daemon.terminate(actor);
      expect(await daemon.end()).toBe(1);
      expect(daemon.notices.join('\n')).toContain(`actor ${actor} failed: its thread ended with code 1`);
      expect(place.isMounted).toBe(false);
      written = await writing.ended;
    }
    const again = await place.mount();
    expectFiles(written);
    expect(await again.stop()).toEqual({ stopped: true });
    expect(await again.end()).toBe(0);
  });

  test('the tables, made anew from the log: whoever builds on them is started again, a writer goes on, nothing is lost', async () => {
    const daemon = await place.mount(QUICK);
    const writing = writer(place.directory);
    for (let n = 1; n <= 2; n++) {
      await wrote(writing, writing.count + 20);
      expect(await daemon.rebuild()).toEqual({ restarted: true });
      expect((await daemon.describe('fuse-0')).restarts).toBe(n);
      expect((await daemon.describe('io-0')).restarts).toBe(0);
    }
    await wrote(writing, writing.count + 20);
    writing.end();
    expectFiles(await writing.ended);
    expect(await daemon.stop()).toEqual({ stopped: true });
    expect(await daemon.end()).toBe(0);
  });

  test('restarts that are asked for are not failures: any number of them', async () => {
    const daemon = await place.mount([...SMALL, 'supervision.restarts=0']);
    const writing = writer(place.directory);
    for (let n = 1; n <= 2; n++) {
      for (const actor of ACTORS) expect(await daemon.restart(actor)).toEqual({ restarted: true });
    }
    for (const actor of ACTORS) expect((await daemon.describe(actor)).restarts).toBe(2);
    expect((await daemon.restart('nobody')).refused).toContain("no supervised actor is named 'nobody'");
    await wrote(writing, writing.count + 8);
    writing.end();
    expectFiles(await writing.ended);
    expect(await daemon.stop()).toEqual({ stopped: true });
    expect(await daemon.end()).toBe(0);
  });
});
