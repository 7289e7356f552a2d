/** A mount that is reconfigured while it serves, and placed on CPUs. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { ReloadReport, Status } from '../../cli/protocol.ts';
import { readMachine } from '../../runtime/system/topology.ts';
import { setXattr } from '../../runtime/system/xattr.ts';
import { Mounted, NO_FUSE, titled, vexfs } from './mounted.ts';

let fs: Mounted | undefined;

afterEach(() => {
  fs?.dispose();
  fs = undefined;
});

function mounted(config: string): Mounted {
  fs = new Mounted(config);
  fs.mount();
  return fs;
}

function rewrite(place: Mounted, config: string): void {
  writeFileSync(join(place.root, 'vexfs.toml'), config);
}

async function until(what: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!what()) {
    if (performance.now() > deadline) throw new Error('it did not come to that');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Actor → the CPUs that its thread may use, as the kernel says. */
function affinities(place: Mounted): Record<string, string> {
  const { pid, actors } = JSON.parse(place.ok(['status', place.dir, '--json'])) as Status;
  return Object.fromEntries(
    actors.map(({ name, thread }) => {
      const status = readFileSync(`/proc/${pid}/task/${String(thread)}/status`, 'latin1');
      return [name, /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)![1]!];
    }),
  );
}

describe.skipIf(NO_FUSE)(titled('configuration of a mount', NO_FUSE), { timeout: 180_000 }, () => {
  test('"config reload" applies what is live, names what needs a new mount, and the next mount has both', () => {
    const place = mounted('[vectors]\nef = 100\n');
    rewrite(place, '[vectors]\nef = 200\nm = 24\n');
    const report = JSON.parse(place.ok(['config', 'reload', place.dir, '--json'])) as ReloadReport;
    expect(report).toEqual({
      applied: [{ key: 'vectors.ef', from: '100', to: '200' }],
      needsRemount: [{ key: 'vectors.m', from: '16', to: '24' }],
    });
    const shown = readFileSync(join(place.dir, '.vexfs/config'), 'utf8');
    expect(shown).toContain('\nef = 200\n');
    expect(shown).toContain('\nm = 16\n');
    expect(place.ok(['config', 'reload', place.dir])).toBe('vectors.m: 16 → 24, needs a new mount\n');
    place.unmount();
    place.mount();
    expect(readFileSync(join(place.dir, '.vexfs/config'), 'utf8')).toContain('\nm = 24\n');
    expect(place.ok(['config', 'reload', place.dir])).toBe('nothing has changed\n');
  });

  test('SIGHUP applies it too, and the mount goes on serving', async () => {
    const place = mounted('[log]\nlevel = "info"\n');
    rewrite(place, '[log]\nlevel = "debug"\n');
    process.kill(place.pid, 'SIGHUP');
    const log = (): string => readFileSync(join(place.store, 'vexfs.log'), 'utf8');
    await until(() => log().includes('log.level: "info" → "debug", applied'));
    writeFileSync(join(place.dir, 'file'), 'still here');
    expect(readFileSync(join(place.dir, 'file'), 'utf8')).toBe('still here');
  });

  test('a file with mistakes is refused with all of them, and nothing changes', () => {
    const place = mounted('[workers]\n');
    rewrite(place, '[vectors]\nef = 200\n[workers]\nfuse = 0\nshardz = 2\n');
    const refused = vexfs(['config', 'reload', place.dir]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /vexfs\.toml:4:1: workers\.fuse is 0; it must be a whole number from 1 to 64/,
    );
    expect(refused.stderr).toMatch(
      /vexfs\.toml:5:1: unknown key "workers\.shardz"; did you mean "workers\.shards"\?/,
    );
    expect(readFileSync(join(place.dir, '.vexfs/config'), 'utf8')).toContain('\nef = 64\n');
  });

  test('another number of shards at the next mount keeps every vector of a user findable', () => {
    const place = mounted('[workers]\nshards = 1\n');
    for (let i = 0; i < 20; i++) {
      const file = join(place.dir, `f${i}`);
      writeFileSync(file, '');
      const vector = Float32Array.of(Math.cos(i / 10), Math.sin(i / 10));
      expect(setXattr(file, 'user.vexfs.vector', new Uint8Array(vector.buffer))).toBe(0);
    }
    const query = join(place.root, 'query.json');
    writeFileSync(query, JSON.stringify([Math.cos(0.71), Math.sin(0.71)]));
    const nearest = (): unknown[] =>
      JSON.parse(place.ok(['vector', 'search', query, '-k', '4', '-m', place.dir, '--json'])) as unknown[];
    const before = nearest();
    expect(before).toHaveLength(4);
    for (const shards of [3, 2]) {
      place.unmount();
      rewrite(place, `[workers]\nshards = ${shards}\n`);
      place.mount();
      expect(nearest()).toEqual(before);
    }
  });

  test('threads run where placement.pin says, and the others where they may', () => {
    const { cpus } = readMachine();
    const [first, last] = [cpus[0]!.id, cpus.at(-1)!.id];
    const place = mounted(`[placement]\npin = { "fuse-*" = ${first}, "shard-1" = "${last}" }\n`);
    const allowed = affinities(place);
    expect(allowed['fuse-0']).toBe(String(first));
    expect(allowed['shard-1']).toBe(String(last));
    expect(allowed['shard-0']).toBe(allowed.main);
  });

  test('a pin to a CPU that is not there is refused before anything is mounted', () => {
    fs = new Mounted('[placement]\npin = { "io-0" = 9999 }\n');
    expect(() => fs!.mount()).toThrow(
      /placement\.pin keeps "io-0" on CPU 9999, which does not exist; usable are /,
    );
    expect(existsSync(join(fs.store, 'lock'))).toBe(false);
  });

  test('a new store has the commented defaults and the JSON Schema they point to', () => {
    fs = new Mounted();
    fs.mount();
    expect(readFileSync(join(fs.store, 'vexfs.toml'), 'utf8')).toMatch(/^#:schema \.\/vexfs\.schema\.json\n/);
    const schema = JSON.parse(readFileSync(join(fs.store, 'vexfs.schema.json'), 'utf8')) as object;
    expect(schema).toEqual(JSON.parse(vexfs(['config', 'schema']).stdout));
  });
});
