import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { capacityOf } from '../../kernels/hnsw/graph-memory.ts';
import { getXattr, removeXattr, setXattr } from '../../runtime/system/xattr.ts';
import { Mounted, NO_FUSE, titled, vexfs } from './mounted.ts';

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

describe.skipIf(NO_FUSE)(titled('collections of any options, and what they do not take', NO_FUSE), () => {
  const WIDE = 768;
  const COUNT = 900;
  let fs: Mounted;
  beforeAll(() => {
    const collections = '"flat:2:l2:float32:m=24:ef_construction=200", "turned:2", "wide:768"';
    fs = new Mounted(
      `[workers]\nshards = 1\n[vectors]\nexact_max = 100\ngraph_memory = "4MiB"\ncollections = [${collections}]\n`,
    );
    fs.mount();
  });
  afterAll(() => fs?.dispose());

  interface Described {
    readonly vectors: number;
    readonly figures?: { readonly graph: number; readonly tail: number; readonly graphs: number };
  }
  interface Answer {
    readonly error?: string;
    readonly results?: readonly { readonly path: string }[];
    readonly collections?: readonly (Described & { readonly name: string })[];
  }
  const ask = (request: object): Answer => {
    const handle = openSync(join(fs.dir, '.vexfs/query'), 'r+');
    writeSync(handle, JSON.stringify(request));
    const answer = Buffer.alloc(1 << 18);
    const bytes = readSync(handle, answer);
    closeSync(handle);
    return JSON.parse(answer.toString('utf8', 0, bytes)) as Answer;
  };
  const describeOf = (name: string): Described =>
    ask({ op: 'collections' }).collections!.find((one) => one.name === name)!;
  const settled = async (name: string, graph: number): Promise<Described> => {
    for (;;) {
      const described = describeOf(name);
      if (described.figures?.graph === graph) return described;
      await new Promise((resume) => setTimeout(resume, 50));
    }
  };
  const put = (collection: string, name: string, ...vector: number[]): number => {
    writeFileSync(join(fs.dir, name), '');
    const bytes = new Uint8Array(Float32Array.from(vector).buffer);
    return setXattr(join(fs.dir, name), `${ATTRIBUTE}.${collection}`, bytes);
  };
  const nearest = (collection: string, vector: number[], k = 10): string[] | string => {
    const { error, results } = ask({ op: 'nearest', collection, vector, k });
    return error ?? results!.map(({ path }) => basename(path));
  };

  test('metric, element, M and efConstruction are those of the configuration, or of its making', () => {
    expect(describeOf('flat')).toMatchObject({
      metric: 'l2',
      element: 'float32',
      m: 24,
      efConstruction: 200,
    });
    const made = ['--dimension', '2', '--metric', 'dot', '--element', 'float32', '--m', '8'];
    fs.ok(['collection', 'create', 'made', ...made, '-m', fs.dir]);
    expect(describeOf('made')).toMatchObject({ metric: 'dot', element: 'float32', m: 8, efConstruction: 0 });
    const again = vexfs(['collection', 'create', 'made', '--dimension', '2', '-m', fs.dir]);
    expect(again.stderr).toContain('of 2 elements compared by dot, walked over float32, M 8');
  });

  test('a vector that cannot be compared is EINVAL, denormals are what they are, and a query is held to the same', () => {
    expect(put('turned', 'zero', 0, -0)).toBe(-22);
    expect(put('turned', 'huge', 3e38, 3e38)).toBe(0);
    expect(put('turned', 'tiny', 0, 1e-44)).toBe(0);
    expect(nearest('turned', [0, 1])).toEqual(['tiny', 'huge']);
    expect(nearest('turned', [1e-44, 1e-44])).toEqual(['huge', 'tiny']);
    expect(nearest('turned', [0, 0])).toContain('no direction');
    expect(put('flat', 'zero', 0, 0)).toBe(0);
    expect(put('flat', 'tiny', 1e-44, 0)).toBe(0);
    expect(put('flat', 'far', 1e19, 0)).toBe(-22);
    expect(put('flat', 'rather far', 5e18, -5e18)).toBe(0);
    expect(put('flat', 'one', 1)).toBe(-22);
    expect(nearest('flat', [5e18, -1e18])).toEqual(['rather far', 'zero', 'tiny']);
    expect(nearest('flat', [1e19, 0])).toContain('no finite float32');
    expect(nearest('flat', [1])).toContain('have 2 elements');
  });

  test('k is 1 to 1,000, and more than there are finds all; a file put again is found once, and removed twice is not there', () => {
    expect(nearest('flat', [0, 0], 1000)).toHaveLength(3);
    for (const k of [0, 1001]) expect(nearest('flat', [0, 0], k)).toContain('k');
    expect(put('flat', 'tiny', 3, 3)).toBe(0);
    expect(nearest('flat', [3, 3])).toEqual(['tiny', 'zero', 'rather far']);
    expect(removeXattr(join(fs.dir, 'tiny'), `${ATTRIBUTE}.flat`)).toBe(0);
    expect(removeXattr(join(fs.dir, 'tiny'), `${ATTRIBUTE}.flat`)).toBe(-61);
    expect(nearest('flat', [3, 3])).toEqual(['zero', 'rather far']);
  });

  test('what has no room in a graph goes into another: all is found, and the next mount reads those graphs that are there', async () => {
    const value = (n: number, e: number): number => Math.fround(Math.sin(n * 12.9898 + e * (1 + (n % 7))));
    const records = Buffer.alloc(COUNT * (4 + WIDE * 4));
    for (let n = 0, at = 0; n < COUNT; n++) {
      at = records.writeInt32LE(WIDE, at);
      for (let e = 0; e < WIDE; e++) at = records.writeFloatLE(value(n, e), at);
    }
    writeFileSync(join(fs.root, 'in.fvecs'), records);
    fs.ok(['vector', 'import', join(fs.root, 'in.fvecs'), '--into', fs.dir, '-c', 'wide', '--json']);
    const room = capacityOf(
      { dimension: WIDE, metric: 'cosine', m: 16, efConstruction: 100, seed: 1 },
      'i8',
      4 << 20,
    );
    expect(room).toBeLessThan(COUNT - 100);
    const graphs = Math.ceil(COUNT / room);
    const allFound = (): void => {
      for (const n of [0, 1, 450, COUNT - 1]) {
        const vector = Array.from({ length: WIDE }, (_, e) => value(n, e));
        expect(nearest('wide', vector, 1)).toEqual([String(n).padStart(9, '0')]);
      }
    };
    expect(await settled('wide', COUNT)).toMatchObject({
      vectors: COUNT,
      figures: { graphs, graphsMax: 16, full: 0, tail: 0 },
    });
    allFound();
    expect(fs.ok(['collection', 'describe', 'wide', '-m', fs.dir])).toContain(`${graphs} of up to 16 graphs`);
    expect(fs.ok(['status', fs.dir])).toContain(`${graphs} of 16`);
    fs.unmount();
    const kept = readdirSync(join(fs.store, 'vectors')).filter((name) => name.endsWith('.snap'));
    expect(kept).toHaveLength(graphs);
    fs.mount();
    await settled('wide', COUNT);
    allFound();
    const reads = () =>
      readFileSync(join(fs.store, 'vexfs.log'), 'utf8').split('a graph was read').length - 1;
    expect(reads()).toBe(graphs);
    fs.unmount();
    rmSync(join(fs.store, 'vectors', kept.find((name) => /^graph-\d+-\d+\.snap$/.test(name))!));
    fs.mount();
    await settled('wide', COUNT);
    allFound();
    expect(reads()).toBe(2 * graphs - 1);
  });
});
