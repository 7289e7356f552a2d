import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ColdStatus } from '../../actors/main/cold-data.ts';
import { ControlClient } from '../../cli/client.ts';
import { STORE_FORMAT } from '../../runtime/storage/store-format.ts';
import { Mounted, NO_FUSE, titled, vexfs } from './mounted.ts';

const CONFIG = '[workers]\nshards = 2\ntasks = 1\n';
const COMPRESSING = '[store]\ncompress = "cold"\ncompress_after_s = 1\n';
const COMPRESSED_MS = 60_000;
const SUMMING = '[store]\nchecksum_after_s = 1\nscrub_s = 2\n';

let mounted: Mounted;
beforeEach(() => {
  if (NO_FUSE) return;
  mounted = new Mounted(CONFIG);
  mounted.mount();
});
afterEach(() => {
  if (!NO_FUSE) mounted.dispose();
});

interface Report {
  readonly clean: boolean;
  readonly problems: readonly { readonly file?: string; readonly offset?: number; readonly what: string }[];
  readonly counts: {
    readonly files: number;
    readonly objects: number;
    readonly vectors: number;
    readonly compressedObjects: number;
  };
}

function check(...options: string[]): Report {
  const { code, stdout, stderr } = vexfs(['check', mounted.store, '--json', ...options]);
  expect(stderr).toBe('');
  const report = JSON.parse(stdout) as Report;
  expect(code).toBe(report.clean ? 0 : 1);
  return report;
}

function fill(directory: string): void {
  mkdirSync(directory);
  for (let i = 0; i < 20; i++) writeFileSync(join(directory, `small-${i}`), `the text of file ${i}`);
  writeFileSync(join(directory, 'large'), Buffer.alloc(100_000, directory.at(-1)));
  mounted.ok(['vector', 'set', join(directory, 'large'), '--json', vectorFile()]);
  execFileSync('sync', [join(directory, 'large')]);
}

function vectorFile(): string {
  const file = join(mounted.root, 'vector.json');
  writeFileSync(file, '[1, 2, 3]');
  return file;
}

test.skipIf(NO_FUSE)(titled('after a kill and after an unmount a store is clean', NO_FUSE), async () => {
  fill(join(mounted.dir, 'a'));
  await mounted.kill();
  expect(check()).toMatchObject({ clean: true, counts: { files: 21, objects: 1, vectors: 1 } });
  mounted.mount();
  fill(join(mounted.dir, 'b'));
  mounted.unmount();
  expect(check()).toMatchObject({ clean: true, counts: { files: 42, objects: 2, vectors: 2 } });
});

test.skipIf(NO_FUSE)(
  titled('a file that nobody uses is compressed, and is the same file to everybody', NO_FUSE),
  async () => {
    const config = join(mounted.root, 'vexfs.toml');
    writeFileSync(config, CONFIG + COMPRESSING);
    mounted.ok(['config', 'reload', mounted.dir]);
    const file = join(mounted.dir, 'cold.txt');
    const lines = Array.from({ length: 30_000 }, (_, i) => `line ${i} of a report on sea otters\n`);
    const content = Buffer.from(lines.join(''));
    writeFileSync(file, content);
    const before = statSync(file);
    const limit = performance.now() + COMPRESSED_MS;
    const client = await ControlClient.connect(mounted.store);
    let row: object | undefined;
    while ((row === undefined || statSync(file).blocks === before.blocks) && performance.now() < limit) {
      row ??= (await client.call('status', {})).actors.find(({ name }) => name === 'cold');
      await pause(10);
    }
    client.close();
    expect(row).toMatchObject({ state: 'busy', doing: expect.stringMatching(/files at rest|compressing/) });
    const { blocks, size, mtimeMs } = statSync(file);
    expect(blocks).toBeLessThan(before.blocks / 3);
    expect([size, mtimeMs]).toEqual([before.size, before.mtimeMs]);
    mounted.unmount();
    expect(check()).toMatchObject({ clean: true, counts: { objects: 1, compressedObjects: 1 } });
    writeFileSync(config, CONFIG);
    mounted.mount();
    const descriptor = openSync(file, 'r+');
    try {
      const piece = Buffer.alloc(5000);
      for (const position of [0, 131_000, 524_288, content.length - 3000]) {
        const got = readSync(descriptor, piece, 0, piece.length, position);
        expect(piece.subarray(0, got).equals(content.subarray(position, position + 5000))).toBe(true);
      }
      expect(readFileSync(file).equals(content)).toBe(true);
      writeSync(descriptor, 'SEA OTTERS', 200_000);
      content.write('SEA OTTERS', 200_000);
    } finally {
      closeSync(descriptor);
    }
    expect(statSync(file).blocks).toBe(before.blocks);
    expect(readFileSync(file).equals(content)).toBe(true);
  },
  2 * COMPRESSED_MS,
);

test.skipIf(NO_FUSE)(
  titled('a bit that flips in a large file at rest is found, told of, and EIO, also after kill -9', NO_FUSE),
  async () => {
    writeFileSync(join(mounted.root, 'vexfs.toml'), CONFIG + SUMMING);
    mounted.ok(['config', 'reload', mounted.dir]);
    fill(join(mounted.dir, 'a'));
    const object = 'objects/01/1';
    const client = await ControlClient.connect(mounted.store);
    const until = async (isSo: (cold: ColdStatus) => boolean): Promise<void> => {
      const limit = performance.now() + COMPRESSED_MS;
      while (!isSo((await client.call('status', {})).cold!)) {
        expect(performance.now()).toBeLessThan(limit);
        await pause(50);
      }
    };
    await until(({ summed }) => summed === 1);
    const bytes = readFileSync(join(mounted.store, object));
    bytes[70_000]! ^= 32;
    writeFileSync(join(mounted.store, object), bytes);
    await until(({ damage }) => damage.count === 1);
    client.close();
    expect(mounted.ok(['status', mounted.dir])).toMatch(/damaged .*from byte 65536 on \(objects\/01\/1/);
    execFileSync('sync', [join(mounted.dir, 'a/large')]);
    await mounted.kill();
    expect(check().problems).toEqual([
      { file: object, offset: 65_536, what: 'bad checksum: up to byte 100000 of /a/large' },
    ]);
    mounted.mount();
    const descriptor = openSync(join(mounted.dir, 'a/large'), 'r+');
    const piece = Buffer.alloc(4096);
    expect(readSync(descriptor, piece, 0, 4096, 0)).toBe(4096);
    expect(() => readSync(descriptor, piece, 0, 4096, 90_000)).toThrow('EIO');
    closeSync(descriptor);
  },
  2 * COMPRESSED_MS,
);

test.skipIf(NO_FUSE)(
  titled('a store that damage has made read-only is repaired, mounted, and has what could be read', NO_FUSE),
  async () => {
    fill(join(mounted.dir, 'a'));
    fill(join(mounted.dir, 'b'));
    // What is written after an fsync says that all before it was durable: only then is a bad byte no torn end.
    fill(join(mounted.dir, 'c'));
    await mounted.kill();
    const segments = readdirSync(join(mounted.store, 'log')).filter((name) => name.endsWith('.log'));
    const log = join(mounted.store, 'log', segments.at(-1)!);
    const bytes = readFileSync(log);
    const at = bytes.indexOf('the text of file 7', bytes.indexOf('the text of file 7') + 1);
    bytes[at]! ^= 1;
    writeFileSync(log, bytes);
    const { problems } = check();
    expect(problems[0]).toMatchObject({ file: `log/${segments.at(-1)}` });
    expect(problems[0]!.offset).toBeLessThan(at);
    expect(check('--repair')).toMatchObject({ clean: true });
    mounted.mount();
    writeFileSync(join(mounted.dir, 'it can be written'), 'x');
    expect(readdirSync(join(mounted.dir, 'a'))).toHaveLength(21);
    expect(readFileSync(join(mounted.dir, 'a/large'))).toEqual(Buffer.alloc(100_000, 'a'));
    expect(readFileSync(join(mounted.dir, 'b/small-3'), 'utf8')).toBe('the text of file 3');
    const found = readdirSync(join(mounted.dir, 'lost+found'));
    const contents = found.map((name) => readFileSync(join(mounted.dir, 'lost+found', name), 'latin1'));
    expect(contents).toContain('b'.repeat(100_000));
    expect(existsSync(`${log}.aside`)).toBe(true);
    mounted.unmount();
    expect(check()).toMatchObject({ clean: true });
  },
);

test.skipIf(NO_FUSE)(titled('a store of format 1 is upgraded by a mount, which says so', NO_FUSE), () => {
  mounted.unmount();
  const format = join(mounted.store, 'format');
  const { uuid, created } = JSON.parse(readFileSync(format, 'utf8')) as { uuid: string; created: string };
  writeFileSync(format, `${JSON.stringify({ format: 1, uuid, created })}\n`);
  expect(check()).toMatchObject({ clean: true });
  const { code, stderr } = vexfs(['mount', mounted.store, mounted.dir]);
  expect(code).toBe(0);
  expect(stderr).toContain(`was of format 1 and is of format ${STORE_FORMAT} now`);
  expect(JSON.parse(readFileSync(format, 'utf8'))).toMatchObject({ format: STORE_FORMAT, uuid, created });
});
