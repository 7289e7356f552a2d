/** Nodes of the virtual tree whose threads have ended, and all of them when the slab is made anew. */
import { expect, test } from 'vitest';
import { TAG_TEXT } from '../../fuse/slab-tags.ts';
import {
  abandonNodes,
  NodeTable,
  planVirtual,
  resetNodes,
  STATE,
  TEXT,
} from '../../fuse/virtual/node-table.ts';
import { MIB } from '../../runtime/config/bounds.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';

const DEAD = 77;
const SLOT_WORDS = 16;

function table() {
  const arena = Arena.create([planVirtual(8), { name: 'slab', bytes: 4 * MIB }]);
  SlabAllocator.format(arena.region('slab'));
  return { arena, nodes: new NodeTable(arena, new SlabAllocator(arena.region('slab'))) };
}

function made(nodes: NodeTable): { slot: number; id: number } {
  const slot = nodes.allocate(10, TAG_TEXT, 0, 0, 1000);
  nodes.publish(slot, TEXT);
  return { slot, id: nodes.idOf(slot) };
}

/** As a thread that filled or freed the slot when it ended left it. */
function leave(arena: Arena, slot: number): void {
  arena.region('virtual').i32[slot * SLOT_WORDS + STATE] = -1 - DEAD;
}

test('a slot that a dead thread was filling or freeing is free again, and its id names nothing', () => {
  const { arena, nodes } = table();
  const kept = made(nodes);
  const lost = made(nodes);
  leave(arena, lost.slot);
  expect(nodes.pin(lost.id)).toBe(0);
  expect(abandonNodes(arena, DEAD + 1)).toBe(0);
  expect(abandonNodes(arena, DEAD)).toBe(1);
  expect(nodes.live()).toBe(1);
  expect(nodes.pin(lost.id)).toBe(0);
  expect(nodes.pin(kept.id)).toBe(kept.slot);
  for (let n = 0; n < 7; n++) expect(made(nodes).id).not.toBe(lost.id);
});

test('a slot that a reader has pinned is not given away', () => {
  const { arena, nodes } = table();
  const { slot, id } = made(nodes);
  expect(nodes.pin(id)).toBe(slot);
  leave(arena, slot);
  expect(abandonNodes(arena, DEAD)).toBe(0);
  for (let n = 0; n < 7; n++) expect(made(nodes).slot).not.toBe(slot);
});

test('after a reset no node is left, no id from before is valid, and a search begun before is not shared', () => {
  const { arena, nodes } = table();
  const before = Array.from({ length: 8 }, () => made(nodes));
  nodes.pin(before[0]!.id);
  leave(arena, before[1]!.slot);
  const { epoch } = nodes;
  resetNodes(arena);
  expect(nodes.live()).toBe(0);
  expect(nodes.epoch).toBe(epoch + 1);
  for (const { id } of before) {
    expect(nodes.pin(id)).toBe(0);
    nodes.release(id, 1);
  }
  const after = Array.from({ length: 8 }, () => made(nodes).id);
  for (const { id } of before) expect(after).not.toContain(id);
});
