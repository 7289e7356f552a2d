import { expect, test } from 'vitest';
import { Arena } from '../../runtime/memory/arena.ts';

test('regions are aligned, apart, zero, and found by name in every thread', () => {
  const arena = Arena.create([
    { name: 'small', bytes: 3 },
    { name: 'large', bytes: 1 << 20 },
    { name: 'last', bytes: 4096 },
  ]);
  const other = Arena.attach(arena.buffer);
  expect(other.names()).toEqual(['small', 'large', 'last']);
  let end = 4096;
  for (const name of other.names()) {
    const region = other.region(name);
    expect(region.offset).toBe(end);
    expect(region.u8.every((byte) => byte === 0)).toBe(true);
    end = Math.ceil((region.offset + region.bytes) / 4096) * 4096;
  }
  arena.region('small').u8[2] = 7;
  expect(other.region('small').bytes).toBe(8);
  expect(other.region('small').u8[2]).toBe(7);
  expect(other.region('small')).toBe(other.region('small'));
});

test('hundreds of regions make the directory longer than a page', () => {
  const plan = Array.from({ length: 300 }, (_, i) => ({ name: `region-${i}`, bytes: 64 }));
  const arena = Arena.attach(Arena.create(plan).buffer);
  plan.forEach(({ name }, i) => {
    arena.region(name).u32[0] = i;
  });
  expect(plan.every(({ name }, i) => arena.region(name).u32[0] === i)).toBe(true);
});

test.each([
  [
    'a name that is taken',
    [
      { name: 'a', bytes: 8 },
      { name: 'a', bytes: 8 },
    ],
  ],
  ['a name that is too long', [{ name: 'x'.repeat(49), bytes: 8 }]],
  ['a name outside ASCII', [{ name: 'é', bytes: 8 }]],
  ['a region of nothing', [{ name: 'a', bytes: 0 }]],
])('%s is a bug', (_, plan) => {
  expect(() => Arena.create(plan)).toThrow();
});

test('a region that was not planned, and a buffer that is no arena, are bugs', () => {
  expect(() => Arena.create([]).region('a')).toThrow('no region "a"');
  expect(() => Arena.attach(new SharedArrayBuffer(4096))).toThrow('not an arena');
});
