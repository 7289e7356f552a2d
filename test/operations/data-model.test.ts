import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as abi from '../../fuse/protocol/abi.ts';
import { ok, ROOT } from './encoding.ts';
import { Harness } from './harness.ts';

/** Small, so that every sequence crosses from inline to object and back. */
const INLINE_LIMIT = 512;
const SIZE = 4096;

const offset = fc.integer({ min: 0, max: SIZE });
const length = fc.integer({ min: 0, max: 1024 });
const step = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), offset, length, byte: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant('truncate' as const), offset: fc.oneof(offset, fc.constant(0)) }),
  fc.record({ kind: fc.constant('punch' as const), offset, length }),
  fc.record({ kind: fc.constant('zero' as const), offset, length }),
  fc.record({ kind: fc.constant('allocate' as const), offset, length }),
  fc.record({ kind: fc.constant('read' as const), offset, length }),
  fc.record({ kind: fc.constant('compress' as const), frameBytes: fc.integer({ min: 40, max: 3000 }) }),
);

function grown(model: Buffer, size: number): Buffer {
  return size <= model.length ? model : Buffer.concat([model, Buffer.alloc(size - model.length)]);
}

test('any sequence of writes, truncates, punches and compressions leaves what a byte array would have', () => {
  const property = fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const h = new Harness({ inlineLimit: INLINE_LIMIT, slabBytes: 8 << 20, maxInodes: 64 });
    const file = ok(h.create(ROOT, 'f'));
    let model: Buffer = Buffer.alloc(0);
    for (const s of steps) {
      if (s.kind === 'write') {
        const data = Buffer.alloc(s.length, s.byte);
        expect(h.write(file, s.offset, data)).toBe(s.length);
        if (s.length > 0) model = grown(model, s.offset + s.length);
        data.copy(model, s.offset);
      } else if (s.kind === 'truncate') {
        expect(h.truncate(file, s.offset)).toBe(0);
        model = grown(Buffer.from(model.subarray(0, s.offset)), s.offset);
      } else if (s.kind === 'compress') {
        expect(h.compress(file, { frameBytes: s.frameBytes, blockBytes: 1 })).toBe(0);
      } else if (s.kind === 'read') {
        const expected = model.subarray(s.offset, s.offset + s.length);
        expect(ok(h.read(file, s.offset, s.length)).equals(expected)).toBe(true);
      } else if (s.length > 0) {
        const mode = {
          punch: abi.FALLOC_FL_PUNCH_HOLE | abi.FALLOC_FL_KEEP_SIZE,
          zero: abi.FALLOC_FL_ZERO_RANGE,
          allocate: 0,
        }[s.kind];
        expect(h.fallocate(file, mode, s.offset, s.length)).toBe(0);
        if (s.kind !== 'punch') model = grown(model, s.offset + s.length);
        if (s.kind !== 'allocate') model.fill(0, s.offset, Math.min(s.offset + s.length, model.length));
      }
      expect(ok(h.getattr(file)).size).toBe(model.length);
    }
    expect(ok(h.read(file, 0, 2 * SIZE)).equals(model)).toBe(true);
    expect(h.failures).toEqual([]);
    const { dropped } = h.handed;
    expect(new Set(dropped).size).toBe(dropped.length);
  });
  fc.assert(property, { numRuns: 150 });
});
