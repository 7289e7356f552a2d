/** Messages as the console shows them. */
import { expect, test } from 'vitest';
import { describeMessage, kindName, kindNames, withoutText } from '../../actors/describe-message.ts';
import * as messages from '../../actors/messages.ts';
import { writeQuery } from '../../actors/query-messages.ts';
import { trySearch } from '../../actors/shard-messages.ts';
import { mailboxRegion } from '../../actors/topology.ts';
import { peekMessages } from '../../runtime/messaging/mailbox.ts';
import { World } from './world.ts';

function waiting(world: World, name: string) {
  return peekMessages(world.actor(name).arena.region(mailboxRegion(name)), 9, 256).map(
    ({ kind, bytes, length }) => describeMessage(kind, bytes, length),
  );
}

test('every kind of message has a name of its own, and one that is unknown is shown all the same', () => {
  expect(kindName(messages.SYNC)).toBe('SYNC');
  expect(kindName(1)).toBe('STOP');
  expect(new Set(kindNames()).size).toBe(kindNames().length);
  expect(describeMessage(9999, Uint8Array.of(1, 2), 2)).toEqual({
    kind: 'KIND_9999',
    length: 2,
    fields: { payload: '0102' },
  });
});

test('what the writers of messages.ts write is shown field by field', () => {
  const world = new World({ shards: 1, fuse: 1, io: 1 });
  const vector = Float32Array.from([0.5, -1, 3, 4, 5]);
  messages.writeSync(world.actor('fuse-0').outbox('io-0'), 7, 1, 5);
  expect(waiting(world, 'io-0')).toEqual([
    { kind: 'SYNC', length: 12, fields: { unique: (2n ** 32n + 7n).toString(), slot: 5 } },
  ]);
  trySearch(world.actor('indexer').outbox('shard-0'), 9, 1, 10, 64, vector);
  expect(waiting(world, 'shard-0')).toEqual([
    {
      kind: 'SEARCH',
      length: 44,
      fields: { search: 9, collection: 1, k: 10, ef: 64, dimension: 5, files: 0, vector: [0.5, -1, 3, 4] },
    },
  ]);
  const text = new TextEncoder().encode('where are the keys?');
  writeQuery(
    world.actor('fuse-0').outbox('indexer'),
    1,
    0,
    1000,
    100,
    42,
    1,
    2,
    3,
    4,
    6,
    text,
    0,
    text.length,
  );
  const [query] = waiting(world, 'indexer');
  expect(query).toMatchObject({
    kind: 'QUERY',
    fields: { unique: '1', uid: 1000, text: 'where are the keys?' },
  });
  expect(withoutText(query!).fields).not.toHaveProperty('text');
});

test('any bytes of any kind are shown without harm, however short', () => {
  const kinds = Array.from({ length: 256 }, (_, kind) => kind);
  for (const kind of kinds) {
    for (const length of [0, 1, 3, 4, 7, 8, 12, 40, 64]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 89 + kind) & 0xff);
      expect(JSON.stringify(describeMessage(kind, bytes, 1_000_000))).toContain('"length":1000000');
    }
  }
});
