import { expect, test } from 'vitest';
import { locateKeys } from '../../runtime/config/locate.ts';

test('keys of sections, dotted keys, inline tables and quoted keys are found where they stand', () => {
  const places = locateKeys(
    [
      '# fuse = 1',
      'placement = "none" # m = 2',
      'log.level = "info"',
      'fuse = { spin_us = 1,',
      '  writeback = true }',
      '',
      '  [workers]',
      'fuse = 3',
      "'io' = 1",
    ].join('\n'),
  );
  expect(Object.fromEntries(places)).toEqual({
    placement: { line: 2, column: 1 },
    'log.level': { line: 3, column: 1 },
    fuse: { line: 4, column: 1 },
    'fuse.spin_us': { line: 4, column: 10 },
    'fuse.writeback': { line: 5, column: 3 },
    workers: { line: 7, column: 3 },
    'workers.fuse': { line: 8, column: 1 },
    'workers.io': { line: 9, column: 1 },
  });
});

test('keys after values over several lines are still found, and what looks like a key inside them is not', () => {
  const places = locateKeys(
    'a = """\nx = 1\n"quoted" [y]\n"""\nb = [ # c = 1\n  "d = 2",\n  [1, 2], { e = 3 },\n]\r\n[t]\r\nf = \'\'\'\ng=1\'\'\'\nh = 1',
  );
  expect([...places.keys()]).toEqual(['a', 'b', 'b.e', 't', 't.f', 't.h']);
  expect(places.get('t.h')).toEqual({ line: 12, column: 1 });
});

test('a text that is not TOML ends the scan', () => {
  expect([...locateKeys('= = =').keys()].length).toBeLessThan(2);
  expect(locateKeys('').size).toBe(0);
});
