/** Requests through `.vexfs/query` on a real mount, and files of vectors in and out of it. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlClient } from '../../cli/client.ts';
import { getXattr } from '../../runtime/system/xattr.ts';
import { CLI, Mounted, NO_FUSE, titled } from './mounted.ts';

interface Answer {
  readonly error?: string;
  readonly changes?: number;
  readonly results?: readonly { readonly path: string; readonly score: number }[];
  readonly [key: string]: unknown;
}

describe.skipIf(NO_FUSE)(titled('.vexfs/query', NO_FUSE), () => {
  let fs: Mounted;
  beforeAll(() => {
    fs = new Mounted('vectors.collections = ["configured:7:dot"]\n');
    fs.mount();
  });
  afterAll(() => fs?.dispose());

  const path = (name: string): string => join(fs.dir, name);
  const open = (): number => openSync(path('.vexfs/query'), 'r+');
  /** Reads on from where the handle is, to the end. */
  const rest = (fd: number): string => {
    const parts: Buffer[] = [];
    for (;;) {
      const buffer = Buffer.alloc(1 << 16);
      const bytes = readSync(fd, buffer);
      if (bytes === 0) return Buffer.concat(parts).toString();
      parts.push(buffer.subarray(0, bytes));
    }
  };
  const say = (fd: number, request: object): Answer => {
    writeSync(fd, JSON.stringify(request));
    return JSON.parse(rest(fd)) as Answer;
  };
  const ask = (request: object): Answer => {
    const fd = open();
    try {
      return say(fd, request);
    } finally {
      closeSync(fd);
    }
  };
  const transaction = (...changes: object[]): Answer => ask({ op: 'transaction', changes });

  test('the kernel shows at once what a transaction has changed, whatever it had cached', () => {
    writeFileSync(path('old'), 'before');
    expect([existsSync(path('new')), readFileSync(path('old'), 'utf8')]).toEqual([false, 'before']);
    const answer = transaction(
      { op: 'write', path: '/new', text: 'fresh' },
      { op: 'write', path: '/old', text: 'after, and longer' },
      { op: 'attribute', path: '/old', name: 'user.tag', text: 'x' },
      { op: 'vector', path: '/old', vector: [1, 0, 0] },
    );
    expect(answer).toEqual({ changes: 4 });
    expect(readFileSync(path('new'), 'utf8')).toBe('fresh');
    expect(readFileSync(path('old'), 'utf8')).toBe('after, and longer');
    expect(statSync(path('old')).size).toBe(17);
    expect(getXattr(path('old'), 'user.tag', new Uint8Array(8))).toBe(1);
    expect(transaction({ op: 'remove', path: '/new' })).toEqual({ changes: 1 });
    expect(existsSync(path('new'))).toBe(false);
  });

  test('one that cannot be made as a whole changes nothing, and says which change it was', () => {
    const { error } = transaction(
      { op: 'write', path: '/half', text: 'x' },
      { op: 'write', path: '/nowhere/file', text: 'x' },
    );
    expect(error).toContain('change 1 (write /nowhere/file)');
    expect(existsSync(path('half'))).toBe(false);
  });

  test('a handle goes through many requests, in pieces of any size, and none sees another’s answers', () => {
    const one = open();
    const two = open();
    for (let round = 0; round < 3; round++) {
      expect(say(one, { op: 'nearest', vector: [1, 0.1, 0] }).results).toMatchObject([{ path: '/old' }]);
      expect(say(two, { op: 'nearest', vector: [1, 0] }).error).toContain('3 elements');
    }
    const text = JSON.stringify({
      op: 'transaction',
      changes: [{ op: 'write', path: '/é "{', text: 'ü'.repeat(9000) }],
    });
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += 1000) writeSync(one, bytes.subarray(at, at + 1000));
    expect(JSON.parse(rest(one))).toEqual({ changes: 1 });
    expect(statSync(path('é "{')).size).toBe(18_000);
    ftruncateSync(one, 0);
    const again = '{"op": "nearest", "vector": [1, 0]}';
    writeSync(one, again, 0);
    const answer = Buffer.alloc(4096);
    expect(answer.toString('utf8', 0, readSync(one, answer, 0, 4096, again.length))).toContain('3 elements');
    closeSync(one);
    closeSync(two);
  });

  test('a request that is none gets a sentence, and the next one is answered', () => {
    const fd = open();
    for (const [text, expected] of [
      ['nonsense', 'JSON object'],
      ['{"op": }', 'not JSON'],
      ['{"op": "dance"}', 'op'],
      ['{"op": "nearest", "collection": "none", "vector": [1]}', 'no collection'],
      ['{"op": "nearest", "vector": [1, 0, 0], "k": 0}', 'k'],
      ['{"op": "vectors", "paths": ["/old"], "vectors": "AAAA"}', 'float32'],
    ] as const) {
      writeSync(fd, text);
      expect((JSON.parse(rest(fd)) as Answer).error).toContain(expected);
    }
    expect(say(fd, { op: 'nearest', vector: [1, 0, 0], k: 1000 }).results?.length).toBe(1);
    const near = { op: 'nearest', vector: [1, 0, 0], ef: 20, patience: 5 };
    expect(say(fd, { ...near, minScore: 0.1 }).results?.length).toBe(1);
    expect(say(fd, { ...near, minScore: 1.1 }).results).toEqual([]);
    expect(say(fd, { ...near, ef: 0 }).error).toContain('ef');
    closeSync(fd);
  });

  test('a request of too many values is E2BIG before it is parsed, and the handle begins anew', () => {
    const fd = open();
    const text = `{"op": "nearest", "vector": [${'1,'.repeat(270_000)}1]}`;
    expect(() => writeSync(fd, text)).toThrow('E2BIG');
    expect(say(fd, { op: 'collections' })).toHaveProperty('collections');
    closeSync(fd);
  });

  test('a search shows what its filter lets through', () => {
    const texts = ['a', 'b', 'c'].map((name) => ({
      op: 'write',
      path: `/kinds/${name}.md`,
      text: `rivers and lakes ${name}`,
    }));
    expect(
      transaction(
        { op: 'mkdir', path: '/kinds' },
        ...texts,
        { op: 'write', path: '/kinds/d.txt', text: 'rivers and lakes d' },
        { op: 'attribute', path: '/kinds/b.md', name: 'user.xdg.tags', text: 'water, blue' },
      ),
    ).toEqual({ changes: 6 });
    fs.ok(['index', 'wait', fs.dir]);
    const found = (filter: object): string[] =>
      ask({ op: 'search', text: 'lakes', filter: { under: '/kinds', ...filter } })
        .results!.map((result) => basename(result.path))
        .sort();
    expect(found({})).toEqual(['a.md', 'b.md', 'c.md', 'd.txt']);
    expect(found({ type: 'md' })).toEqual(['a.md', 'b.md', 'c.md']);
    expect(found({ tag: 'blue' })).toEqual(['b.md']);
    expect(found({ owner: process.getuid!() }).length).toBe(4);
    expect(found({ owner: 54_321 })).toEqual([]);
    expect(found({ after: '2001-01-01', before: '2002-01-01' })).toEqual([]);
  });

  test('vectors of a file are set for files of their own, found, and written out as they were', () => {
    const dimension = 8;
    const count = 3000;
    const source = join(fs.root, 'in.fvecs');
    const records = Buffer.alloc(count * (4 + dimension * 4));
    for (let i = 0; i < count; i++) {
      records.writeInt32LE(dimension, i * 36);
      for (let e = 0; e < dimension; e++)
        records.writeFloatLE(Math.fround(Math.sin(i * 31 + e * 7)), i * 36 + 4 + e * 4);
    }
    writeFileSync(source, records);
    const into = path('sift');
    // The directory is made.
    const { set, notSet } = JSON.parse(
      fs.ok(['vector', 'import', source, '--into', into, '-c', 'sift', '--json']),
    ) as Answer;
    expect([set, notSet]).toEqual([count, 0]);
    const like = ask({ op: 'nearest', collection: 'sift', like: '/sift/000000017', k: 1 });
    expect(like.results).toMatchObject([{ path: '/sift/000000017', score: 1 }]);
    const out = join(fs.root, 'out.fvecs');
    fs.ok(['vector', 'export', out, '-m', fs.dir, '-c', 'sift', '--json']);
    expect(readFileSync(out).equals(records)).toBe(true);
  });

  test('import makes the directories of the paths it is given, and none outside of --into', () => {
    const lines = (name: string, paths: readonly string[]): string => {
      const file = join(fs.root, name);
      writeFileSync(file, paths.map((path) => `${JSON.stringify({ path, vector: [1, 2] })}\n`).join(''));
      return file;
    };
    const imported = (file: string): unknown => {
      const args = ['vector', 'import', file, '--into', path('imported/place'), '-c', 'placed', '--json'];
      const { stdout } = spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8', timeout: 20_000 });
      return JSON.parse(stdout);
    };
    expect(imported(lines('in.jsonl', ['a/b', 'c']))).toMatchObject({ set: 2, notSet: 0 });
    expect(existsSync(path('imported/place/a/b'))).toBe(true);
    expect(imported(lines('out.jsonl', ['../../d']))).toEqual({
      error: '"../../d" is not a path below the directory of --into',
    });
  });

  test.each([
    ['of ASCII names', 'plain'],
    ['with a name of other characters', 'ähnlich 日本 😀'],
    ['with half a character at the end of a name', 'half\ud83d'],
  ])('a batch %s: each name gets its own vector, and what is no name of a file is refused', (_, name) => {
    const directory = `/batch-${Buffer.from(name).toString('hex')}`;
    expect(transaction({ op: 'mkdir', path: directory })).toEqual({ changes: 1 });
    const good = ['a', name, '.hidden', '...', 'b'].map((file) => `${directory}/${file}`);
    const bad = [
      '/.vexfs',
      '//.vexfs',
      `${directory}/`,
      `${directory}/.`,
      `${directory}/..`,
      '/.vexfs/x',
      'c',
    ];
    bad.push(`${directory}/../c`, '/missing/c');
    const paths = [...bad, ...good];
    const vectors = Float32Array.from(paths.flatMap((_, i) => [i + 1, 1]));
    const answer = ask({
      op: 'vectors',
      collection: 'batch',
      paths,
      vectors: Buffer.from(vectors.buffer).toString('base64'),
      create: true,
    });
    expect([answer.set, answer.notSet]).toEqual([good.length, bad.length]);
    for (const [i, file] of good.entries()) {
      const value = new Uint8Array(8);
      expect(getXattr(path(file.slice(1)), 'user.vexfs.vector.batch', value)).toBe(8);
      expect([...new Float32Array(value.buffer)]).toEqual([bad.length + i + 1, 1]);
    }
  });

  test('a collection is made for another metric, searched by it, and dropped with its vectors', () => {
    fs.ok(['collection', 'create', 'far', '--dimension', '2', '--metric', 'l2', '-m', fs.dir]);
    const points = { near: [1, 1], along: [30, 30], origin: [0, 0] };
    const changes = Object.entries(points).flatMap(([name, vector]) => [
      { op: 'write', path: `/${name}`, text: '' },
      { op: 'vector', path: `/${name}`, collection: 'far', vector },
    ]);
    expect(transaction(...changes)).toEqual({ changes: 6 });
    const { results } = ask({ op: 'nearest', collection: 'far', vector: [2, 2] });
    expect(results!.map((result) => basename(result.path))).toEqual(['near', 'origin', 'along']);
    const rows = JSON.parse(fs.ok(['collection', 'list', '-m', fs.dir, '--json'])) as object[];
    expect(rows).toContainEqual(expect.objectContaining({ name: 'configured', metric: 'dot', dimension: 7 }));
    expect(rows).toContainEqual(
      expect.objectContaining({ name: 'far', metric: 'l2', vectors: 3, state: 'ready' }),
    );
    fs.ok(['collection', 'drop', 'far', '-m', fs.dir]);
    expect(ask({ op: 'nearest', collection: 'far', vector: [2, 2] }).error).toContain('no collection');
    expect(getXattr(path('near'), 'user.vexfs.vector.far', new Uint8Array(8))).toBe(-61);
    expect(existsSync(path('near'))).toBe(true);
    expect(transaction({ op: 'vector', path: '/near', collection: 'far', vector: [1, 2, 3] })).toEqual({
      changes: 1,
    });
    expect(ask({ op: 'nearest', collection: 'far', vector: [1, 2, 3] }).results).toMatchObject([
      { path: '/near' },
    ]);
  });

  test('the indexer is ended again and again: each transaction is whole, and everybody sees the last one', async () => {
    const client = await ControlClient.connect(fs.store);
    const names = ['one', 'two', 'three'];
    let confirmed = 0;
    const round = (n: number): Promise<unknown> =>
      client.call('query', {
        op: 'transaction',
        durable: false,
        changes: names.flatMap((name, i) => [
          { op: 'write', path: `/${name}`, text: String(n) },
          { op: 'vector', path: `/${name}`, collection: 'rounds', vector: [1, n / 100, i / 1000] },
        ]),
      });
    await round(0);
    for (let n = 1; n <= 60; n++) {
      const isLast = n % 20 === 10;
      const asked = round(n).then(
        () => {
          confirmed = n;
        },
        () => {},
      );
      if (isLast) await client.call('kill', { actor: 'indexer' });
      await asked;
      const [first, ...others] = names.map((name) => Number(readFileSync(path(name), 'utf8')));
      expect(others).toEqual([first, first]);
      expect(first).toBeGreaterThanOrEqual(confirmed);
      const vector = new Float32Array(3);
      getXattr(path('two'), 'user.vexfs.vector.rounds', new Uint8Array(vector.buffer));
      expect(vector[1]).toBeCloseTo(first! / 100);
    }
    const { results } = (await client.call('query', {
      op: 'nearest',
      collection: 'rounds',
      vector: [1, 0.6, 0.001],
      k: 1,
    })) as Answer;
    expect(results).toMatchObject([{ path: '/two', score: 1 }]);
    client.close();
  });

  test('what was answered is durable, all of it, after kill -9', async () => {
    const large = 'z'.repeat(200_000);
    expect(
      transaction(
        { op: 'mkdir', path: '/durable' },
        { op: 'write', path: '/durable/large', text: large },
        { op: 'write', path: '/old', text: 'replaced' },
        { op: 'vector', path: '/durable/large', vector: [0, 1, 0] },
      ),
    ).toEqual({ changes: 4 });
    await fs.kill();
    fs.mount();
    expect(readFileSync(path('durable/large'), 'utf8')).toBe(large);
    expect(readFileSync(path('old'), 'utf8')).toBe('replaced');
    expect(ask({ op: 'nearest', vector: [0, 1, 0], k: 1 }).results).toMatchObject([
      { path: '/durable/large' },
    ]);
  });

  test('mounted read-only: a request that changes something is refused, by the control socket too', async () => {
    fs.unmount();
    fs.mount(['-o', 'ro']);
    const client = await ControlClient.connect(fs.store);
    const asked = client.call('query', {
      op: 'transaction',
      changes: [{ op: 'write', path: '/new', text: '' }],
    });
    await expect(asked).rejects.toThrow('mounted read-only (EROFS)');
    expect(await client.call('query', { op: 'nearest', vector: [0, 1, 0], k: 1 })).toMatchObject({
      results: [{ path: '/durable/large' }],
    });
    client.close();
    expect(existsSync(path('new'))).toBe(false);
  });
});
