import { expect, test } from 'vitest';
import { FIELDS, LIVE_KEYS } from '../../runtime/config/fields.ts';
import { LIVE_BYTES, liveView, publishLive } from '../../runtime/config/live.ts';
import { configSchema } from '../../runtime/config/schema.ts';
import { parseSize } from '../../runtime/config/size.ts';
import { Arena } from '../../runtime/memory/arena.ts';

const { buffer } = Arena.create([{ name: 'live', bytes: LIVE_BYTES }]);
const mounted = configSchema.parse({});
const main = Arena.attach(buffer).region('live');
publishLive(main, LIVE_KEYS, mounted);

test('a view has the values of the mount until others are published, and then has those at once', () => {
  const view = liveView(mounted, Arena.attach(buffer).region('live'), LIVE_KEYS);
  const { store } = view;
  expect(view).toEqual(mounted);
  const changed = configSchema.parse({
    store: { commit_interval_ms: 7, inline_limit: 0 },
    log: { level: 'silent' },
    index: { max_file_size: '256MiB' },
    workers: { io: 3 },
  });
  publishLive(main, LIVE_KEYS, changed);
  expect(store.commit_interval_ms).toBe(7);
  expect(view.log.level).toBe('silent');
  expect(view.index.max_file_size).toBe(256 * 2 ** 20);
  // What is not live stays as it was mounted.
  expect(store.inline_limit).toBe(mounted.store.inline_limit);
  expect(view.workers.io).toBe(1);
  publishLive(main, LIVE_KEYS, mounted);
  expect(view).toEqual(mounted);
});

test('a view is cloned, printed and spread with the values of now', () => {
  const view = liveView(mounted, main, LIVE_KEYS);
  expect(structuredClone(view)).toEqual(mounted);
  expect(JSON.parse(JSON.stringify({ ...view }))).toEqual(mounted);
});

test('the largest and the smallest value of every live key fit its word', () => {
  for (const { section, name, choices } of LIVE_KEYS) {
    if (choices.length > 0) continue;
    const field = FIELDS.find(({ key }) => key === `${section}.${name}`)!;
    for (const bound of field.range.split(' … ')) {
      const value = parseSize(bound)!;
      const table = { ...mounted[section as 'store'], [name]: value };
      publishLive(main, LIVE_KEYS, { ...mounted, [section]: table });
      expect(liveView(mounted, main, LIVE_KEYS), field.key).toMatchObject({ [section]: { [name]: value } });
    }
  }
});
