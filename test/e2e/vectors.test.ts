import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { getXattr, setXattr } from '../../runtime/system/xattr.ts';
import { Mounted, NO_FUSE, titled } from './mounted.ts';

const ATTRIBUTE = 'user.vexfs.vector';
const DIMENSION = 4;

/** Directions that are well apart for n from 0 to 5. */
function direction(n: number): Float32Array {
  return Float32Array.from({ length: DIMENSION }, (_, i) => (i === n % 4 ? 1 : 0.1 * (n + 1)));
}

function sync(file: string): void {
  const fd = openSync(file, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

describe.skipIf(NO_FUSE)(titled('vectors of one’s own', NO_FUSE), () => {
  let fs: Mounted;
  beforeAll(() => {
    fs = new Mounted();
    fs.mount();
  });
  afterAll(() => fs?.dispose());

  const put = (name: string, vector: Float32Array): void => {
    const file = join(fs.dir, name);
    writeFileSync(file, name);
    expect(setXattr(file, ATTRIBUTE, new Uint8Array(vector.buffer))).toBe(0);
  };
  const nearest = (vector: Float32Array): string[] => {
    const query = join(fs.root, 'query.json');
    writeFileSync(query, JSON.stringify(Array.from(vector)));
    const hits = JSON.parse(fs.ok(['vector', 'search', query, '-m', fs.dir, '--json'])) as { path: string }[];
    return hits.map(({ path }) => basename(path));
  };

  test('one that was set is found by the next search, and by none after its file was removed', () => {
    for (let n = 0; n < 3; n++) {
      put(`v${n}`, direction(n));
      expect(nearest(direction(n))[0]).toBe(`v${n}`);
    }
    rmSync(join(fs.dir, 'v1'));
    expect(nearest(direction(1)).toSorted()).toEqual(['v0', 'v2']);
  });

  test('one that was replaced is found as what it is now', () => {
    put('v0', direction(3));
    expect(nearest(direction(3))[0]).toBe('v0');
    put('v0', direction(0));
    expect(nearest(direction(0))[0]).toBe('v0');
  });

  test('after fsync of its file it survives kill -9 of the process, with the content', async () => {
    put('durable', direction(3));
    sync(join(fs.dir, 'durable'));
    await fs.kill();
    fs.mount();
    const bytes = new Uint8Array(DIMENSION * 4);
    expect(getXattr(join(fs.dir, 'durable'), ATTRIBUTE, bytes)).toBe(bytes.length);
    expect(new Float32Array(bytes.buffer)).toEqual(direction(3));
    expect(readFileSync(join(fs.dir, 'durable'), 'utf8')).toBe('durable');
    expect(nearest(direction(3))[0]).toBe('durable');
  });

  test('it is found after an unmount and a mount', () => {
    const before = nearest(direction(0));
    expect(before.length).toBe(3);
    fs.unmount();
    fs.mount();
    expect(nearest(direction(0))).toEqual(before);
  });
});

describe.skipIf(NO_FUSE)(titled('vectors in graphs that all shards share', NO_FUSE), () => {
  const VECTORS = 800;
  let fs: Mounted;
  beforeAll(() => {
    fs = new Mounted('[vectors]\nengine = "native"\nexact_max = 100\n');
    fs.mount();
  });
  afterAll(() => fs?.dispose());

  interface Figures {
    readonly name: string;
    readonly vectors: number;
    readonly tail: number;
    readonly graph: number;
    readonly walked: string;
  }
  const figures = (): Figures => {
    const status = JSON.parse(fs.ok(['status', fs.dir, '--json'])) as { collections: Figures[] };
    return status.collections.find(({ name }) => name === 'default')!;
  };
  const inGraph = async (vectors: number): Promise<void> => {
    while (figures().graph !== vectors) await new Promise((resume) => setTimeout(resume, 50));
  };
  const vectorOf = (n: number): Float32Array =>
    Float32Array.from({ length: 8 }, (_, i) => Math.sin(n * (i + 1.3) + i));
  const first = (n: number): string | undefined => {
    const query = join(fs.root, 'query.json');
    writeFileSync(query, JSON.stringify(Array.from(vectorOf(n))));
    const hits = JSON.parse(fs.ok(['vector', 'search', query, '-m', fs.dir, '--json'])) as { path: string }[];
    return hits[0] && basename(hits[0].path);
  };
  const put = (n: number, name = `v${n}`): void => {
    writeFileSync(join(fs.dir, name), '');
    expect(setXattr(join(fs.dir, name), ATTRIBUTE, new Uint8Array(vectorOf(n).buffer))).toBe(0);
  };

  test('each is found from its put on, also when it has moved into a graph', async () => {
    for (let n = 0; n < VECTORS; n++) put(n);
    expect(first(VECTORS - 1)).toBe(`v${VECTORS - 1}`);
    await inGraph(VECTORS);
    expect(figures()).toMatchObject({ vectors: VECTORS, tail: 0, walked: 'int8' });
    expect(first(700)).toBe('v700');
    rmSync(join(fs.dir, 'v700'));
    expect(first(700)).not.toBe('v700');
  });

  test('after an unmount and a mount the graphs are there again, with what has changed meanwhile', async () => {
    fs.unmount();
    expect(readdirSync(join(fs.store, 'vectors')).filter((name) => name.endsWith('.snap'))).toHaveLength(2);
    expect(fs.ok(['check', fs.store])).toMatch(/no problems|clean|nothing/i);
    fs.mount();
    await inGraph(VECTORS - 1);
    expect(readFileSync(join(fs.store, 'vexfs.log'), 'utf8').match(/a graph was read/g)).toHaveLength(2);
    for (const n of [0, VECTORS - 1]) expect(first(n)).toBe(`v${n}`);
    put(5000, 'v3');
    expect(first(5000)).toBe('v3');
    sync(join(fs.dir, 'v3'));
    await fs.kill();
    fs.mount();
    await inGraph(VECTORS - 1);
    expect(first(5000)).toBe('v3');
  });
});
