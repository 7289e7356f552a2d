/** The text index after ends that come at a bad time: every file is found again, whatever was lost. */
import { execFile } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ControlClient } from '../../cli/client.ts';
import { NO_FUSE, titled } from '../e2e/mounted.ts';
import { type Daemon, Place, SMALL } from './daemon.ts';

const FILES = 150;
const WORDS = ['zebra', 'volcano', 'harpsichord', 'glacier', 'saffron', 'lighthouse'];
const run = promisify(execFile);
let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.dispose());

async function call<T>(work: (client: ControlClient) => Promise<T>): Promise<T> {
  const client = await ControlClient.connect(place.store);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

const wait = () => call((client) => client.call('indexWait', {}, { timeoutMs: 60_000 }));

/** Every file is among those found for the word that only its sixth of them has. */
async function expectAllFound(): Promise<void> {
  await wait();
  const found = new Set<string>();
  for (const query of WORDS) {
    for (const { path } of await call((client) => client.call('search', { query, k: 100 }))) found.add(path);
  }
  expect(found.size).toBe(FILES);
}

async function fill(): Promise<void> {
  await mkdir(join(place.directory, 'd'));
  for (let n = 0; n < FILES; n++) {
    const word = WORDS[n % WORDS.length]!;
    await writeFile(
      join(place.directory, 'd', `note-${n}`),
      `The ${word} and the ${word}, note number ${n}.\n`,
    );
  }
}

async function unmount(daemon: Daemon): Promise<void> {
  await daemon.stop();
  expect(await daemon.end()).toBe(0);
}

describe.skipIf(NO_FUSE)(titled('the text index', NO_FUSE), () => {
  test('a rebuild that an unmount interrupts goes on at the next mount', async () => {
    const first = await place.mount();
    await fill();
    await expectAllFound();
    await call((client) => client.call('indexRebuild', {}));
    await unmount(first);
    const second = await place.mount();
    await expectAllFound();
    await unmount(second);
  });

  test('what a kill interrupts is indexed at the next mount; a kill right after that recovery loses nothing either', async () => {
    const first = await place.mount();
    await fill();
    await run('sync', [join(place.directory, 'd', 'note-0')]);
    await first.kill();
    const second = await place.mount();
    await wait();
    await second.kill();
    const third = await place.mount();
    await expectAllFound();
    await unmount(third);
  });

  test('segments that are gone, and another number of shards, lose no file', async () => {
    const first = await place.mount();
    await fill();
    await expectAllFound();
    await unmount(first);
    const second = await place.mount([...SMALL, 'workers.shards=3']);
    expect(second.notices).toEqual([]);
    await expectAllFound();
    await unmount(second);
    const vectors = join(place.store, 'vectors');
    for (const name of readdirSync(vectors).filter((name) => name.includes('-1.')))
      rmSync(join(vectors, name));
    const third = await place.mount([...SMALL, 'workers.shards=2']);
    expect(third.notices.join()).toContain('indexed again');
    await expectAllFound();
    await unmount(third);
  });

  test('an index wait that nobody answers any more keeps the process from ending no longer than the mount', async () => {
    const daemon = await place.mount([...SMALL, 'index.settle_ms=60000']);
    await fill();
    const waiting = wait().catch((error: Error) => error.message);
    const again = call((client) => client.call('indexWait', {})).catch((error: Error) => error.message);
    await unmount(daemon);
    for (const answer of [await waiting, await again]) {
      if (typeof answer === 'string') expect(answer).toMatch(/ended|closed/);
    }
  });
});
