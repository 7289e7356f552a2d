import { beforeEach, expect, test } from 'vitest';
import { encodeChunkBatch } from '../../actors/chunk-batch.ts';
import * as messages from '../../actors/messages.ts';
import { readQuery, writeQuery } from '../../actors/query-messages.ts';
import {
  PUT_VECTOR_HEADER_BYTES,
  SEARCH_HEADER_BYTES,
  tryPutChunks,
  tryRemove,
  trySearch,
  writePutChunks,
  writePutVector,
  writeRemove,
} from '../../actors/shard-messages.ts';
import { take, World } from './world.ts';

let world: World;
beforeEach(() => {
  world = new World({ shards: 1, fuse: 1, io: 2 });
});

test('SYNC and the messages of one or two words arrive as they were written', () => {
  const io = world.actor('fuse-0').outbox('io-0');
  messages.writeSync(io, 1, 0xffff_ffff, 9);
  messages.postObject(io, messages.OBJECT_DIRTY, 77, 4096);
  messages.writeWords(io, messages.FLUSH, 5);
  const [sync, dirty, flush] = take(world.actor('io-0'));
  expect([sync!.kind, ...sync!.u32.subarray(0, 3)]).toEqual([messages.SYNC, 1, 0xffff_ffff, 9]);
  expect([dirty!.kind, ...dirty!.u32.subarray(0, 2)]).toEqual([messages.OBJECT_DIRTY, 77, 4096]);
  expect([flush!.kind, ...flush!.u32]).toEqual([messages.FLUSH, 5, 0]);
  expect(sync!.from).toBe('fuse-0');
});

test('an object belongs to one io actor', () => {
  expect([0, 1, 2, 3].map((id) => messages.ioOf(id, 2))).toEqual(['io-0', 'io-1', 'io-0', 'io-1']);
});

test('a QUERY is read back whole, its text included', () => {
  const text = new TextEncoder().encode('…rotate the keys?');
  const indexer = world.actor('fuse-0').outbox('indexer');
  writeQuery(indexer, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, text, 3, text.length - 4);
  const [query] = take(world.actor('indexer'));
  expect(readQuery(query!.u8, query!.u32, 0)).toEqual({
    uniqueLo: 1,
    uniqueHi: 2,
    uid: 3,
    gid: 4,
    pid: 5,
    kind: 6,
    parentLo: 7,
    parentHi: 8,
    ino: 9,
    slot: 10,
    text: text.subarray(3, text.length - 1),
  });
});

test('vectors, chunks, removals and numbers arrive as they were written, waiting or trying', () => {
  const vector = Float32Array.from([1, -2, 3.5]);
  const batch = encodeChunkBatch(1, 0, [{ byteOffset: 0, byteLength: 1, line: 1, vector }], 3);
  const bytes = new Uint8Array(vector.buffer);
  const io = world.actor('io-0').outbox('shard-0');
  const indexer = world.actor('indexer').outbox('shard-0');
  writePutVector(io, 1, 2, 3, 4, bytes, 0, 12);
  writePutChunks(io, 4, 5, batch, 0, batch.length);
  writeRemove(io, messages.REMOVE_FILE, 6, 7, 0);
  messages.writeNumber(io, messages.LOAD_SEGMENT, 2 ** 40);
  expect(tryPutChunks(indexer, 4, 5, batch, 0, batch.length)).toBe(true);
  expect(tryRemove(indexer, messages.REMOVE_VECTORS, 6, 7, 8)).toBe(true);
  expect(messages.trySignal(indexer, messages.CLEAR_TEXT)).toBe(true);
  expect(trySearch(indexer, 9, 10, 11, 12, vector)).toBe(true);
  const got = take(world.actor('shard-0'));
  const from = (name: string) => got.filter((message) => message.from === name);
  const [put, chunks, remove, number] = from('io-0');
  expect([put!.kind, ...put!.u32.subarray(0, 5)]).toEqual([messages.PUT_VECTOR, 1, 2, 3, 3, 4]);
  expect(put!.u8.subarray(PUT_VECTOR_HEADER_BYTES)).toEqual(bytes);
  expect(chunks!.u8.subarray(8)).toEqual(batch);
  expect([remove!.kind, ...remove!.u32.subarray(0, 2)]).toEqual([messages.REMOVE_FILE, 6, 7]);
  expect([number!.kind, number!.f64[0]]).toEqual([messages.LOAD_SEGMENT, 2 ** 40]);
  const [tried, removed, signal, search] = from('indexer');
  expect(tried!.u8).toEqual(chunks!.u8);
  expect([removed!.kind, ...removed!.u32.subarray(0, 3)]).toEqual([messages.REMOVE_VECTORS, 6, 7, 8]);
  expect([signal!.kind, signal!.u8.length]).toEqual([messages.CLEAR_TEXT, 0]);
  expect([search!.kind, ...search!.u32.subarray(0, 6)]).toEqual([messages.SEARCH, 9, 10, 11, 12, 3, 0]);
  expect(search!.u8.subarray(SEARCH_HEADER_BYTES)).toEqual(bytes);
});

test('who may not block is refused by a full lane, and loses nothing', () => {
  const indexer = world.actor('indexer').outbox('shard-0');
  const vector = new Float32Array(8192);
  let sent = 0;
  while (trySearch(indexer, sent, 0, 1, 1, vector)) sent++;
  expect(sent).toBeGreaterThan(10);
  expect(tryRemove(indexer, messages.REMOVE_FILE, 1, 1, 0)).toBe(true);
  const shard = world.actor('shard-0');
  expect(
    take(shard)
      .filter(({ kind }) => kind === messages.SEARCH)
      .map(({ u32 }) => u32[0]),
  ).toEqual(Array.from({ length: sent }, (_, i) => i));
  expect(trySearch(indexer, sent, 0, 1, 1, vector)).toBe(true);
});
