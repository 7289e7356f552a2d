/** A graph that is kept as bytes and put back. */
import { describe, expect, test } from 'vitest';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { auditGraph } from '../../kernels/hnsw/graph-audit.ts';
import type { ElementType } from '../../kernels/hnsw/graph-memory.ts';
import { DESCRIPTION_BYTES } from '../../kernels/hnsw/graph-snapshot.ts';
import { NativeIndex, type NativeOptions } from '../../kernels/hnsw/native.ts';
import { SearchHits } from '../../kernels/hnsw/vector-index.ts';
import { open, recall } from './native-world.ts';
import { Random } from './random.ts';

describe('a snapshot', () => {
  /** What a reader of a file with these bytes would do. */
  const readerOf = (bytes: Uint8Array) => {
    let at = DESCRIPTION_BYTES;
    return (part: Uint8Array) => {
      part.set(bytes.subarray(at, at + part.length));
      at += part.length;
    };
  };
  const restore = (bytes: Uint8Array, options: NativeOptions) =>
    NativeIndex.restore(options, bytes.slice(0, DESCRIPTION_BYTES), readerOf(bytes));
  const options = { dimension: 12, metric: 'l2', m: 12, efConstruction: 80, seed: 1 } as const;

  /** After many changes, some of them half done. */
  function changed(element: ElementType) {
    const random = new Random(14);
    const oracle = new ExactIndex(options);
    const index = open({ ...options, element });
    const same = random.vector(12);
    for (let step = 0; step < 6000; step++) {
      const label = random.below(2500);
      const vector = random.next() < 0.1 ? same : random.vector(12);
      if (random.next() < 0.6) {
        oracle.add(label, vector);
        index.add(label, vector);
      } else {
        index.remove(label);
        oracle.remove(label);
      }
    }
    return { index, oracle, random };
  }

  test.each(['i8', 'f32'] as const)('%s: put back, it finds the same, and can be changed', (element) => {
    const { index, oracle, random } = changed(element);
    const bytes = Buffer.concat(index.snapshot());
    const again = restore(bytes, { ...options, element, capacity: 5000 })!;
    expect(again.size).toBe(oracle.size);
    for (let label = 0; label < 2500; label++) expect(again.has(label)).toBe(oracle.has(label));
    const [a, b] = [new SearchHits(10), new SearchHits(10)];
    for (let i = 0; i < 50; i++) {
      const query = random.vector(12);
      index.search(query, 10, 64, a);
      again.search(query, 10, 64, b);
      expect(Array.from(b.distances)).toEqual(Array.from(a.distances));
    }
    for (let step = 0; step < 6000; step++) {
      const label = random.below(2500);
      if (random.next() < 0.5) {
        const vector = random.vector(12);
        oracle.add(label, vector);
        again.add(label, vector);
      } else {
        again.remove(label);
        oracle.remove(label);
      }
    }
    expect(auditGraph(again.owner.graph)).toMatchObject({ faults: [], live: oracle.size, unreachable: [] });
    const queries = Array.from({ length: 100 }, () => random.vector(12));
    expect(recall(again, oracle, queries)).toBeGreaterThan(0.97);
  });

  test('of another dimension, metric or number of links, or too large, it is refused', () => {
    const bytes = Buffer.concat(changed('i8').index.snapshot());
    expect(restore(bytes, { ...options, dimension: 20 })).toBeUndefined();
    expect(restore(bytes, { ...options, metric: 'dot' })).toBeUndefined();
    expect(restore(bytes, { ...options, m: 16 })).toBeUndefined();
    expect(restore(bytes, { ...options, capacity: 100 })).toBeUndefined();
    expect(NativeIndex.restore(options, new Uint8Array(7), () => {})).toBeUndefined();
  });

  test('damaged anywhere, it is refused or can be searched and changed', () => {
    const random = new Random(15);
    const bytes = Buffer.concat(changed('i8').index.snapshot());
    let refused = 0;
    for (let round = 0; round < 60; round++) {
      const damaged = Buffer.from(bytes);
      const at = round % 3 === 0 ? random.below(DESCRIPTION_BYTES) : random.below(bytes.length);
      for (let i = 0; i < 1 + (round % 4); i++) damaged[at + i] = random.below(256);
      const index = restore(damaged, { ...options, capacity: 5000 });
      if (index === undefined) {
        refused++;
        continue;
      }
      const hits = new SearchHits(10);
      index.search(random.vector(12), 10, 64, hits);
    }
    console.log(`${refused} of 60 refused`);
    expect(refused).toBeGreaterThan(0);
  });
});
