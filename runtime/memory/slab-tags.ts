/**
 * Who holds what: a word for each block in use, beside the slab.
 *
 * Layout: u32 per unit of the slab, of which the one at a block's first unit counts:
 *   bits 0…4   tag, what the block is for; 0 = the block is free
 *   bits 5…12  slot of the actor that allocated it; RESTORED = it was there when the store was mounted
 *   bits 13…27 minute of the allocation, counted from the mount, the last one for everything later
 *   bits 28…31 what nobody asked for of the block, in sixteenths; GUARDED = the asked length is in the block
 * Tags from COLLECTED on belong to the allocator; lower ones are the application’s.
 *
 * Roles: whoever owns the block writes its word; any thread reads.
 *
 * Invariants:
 * 1. The word is written before the block leaves its owner's cache and cleared after it has come back. So a block that
 *    is lost with a thread that died has a word, and is found by it.
 * 2. A free block's word is 0, except that COLLECTED and TRIMMED mark free blocks in the pool actor's hands.
 */
import { UNIT } from './size-classes.ts';

/** A free block that the pool actor has taken out of the lists to put spans together. */
export const COLLECTED = 29;
/** A free span whose memory was given back to the system. */
export const TRIMMED = 30;
export const UNTAGGED = 31;
export const RESTORED = 255;
/** Largest minute that a word can say. */
const MINUTE_MAX = 2 ** 15 - 1;
export const GUARDED = 15;

const SLOT_SHIFT = 5;
const MINUTE_SHIFT = 13;
const SLACK_SHIFT = 28;

export function encodeHolder(tag: number, slot: number, minute: number, slack: number): number {
  const when = minute < MINUTE_MAX ? minute : MINUTE_MAX;
  return (slack << SLACK_SHIFT) | (when << MINUTE_SHIFT) | (slot << SLOT_SHIFT) | tag;
}

export const tagOf = (word: number): number => word & 31;
export const slotOf = (word: number): number => (word >>> SLOT_SHIFT) & 255;
export const minuteOf = (word: number): number => (word >>> MINUTE_SHIFT) & MINUTE_MAX;
export const slackOf = (word: number): number => word >>> SLACK_SHIFT;

/** Whether the word is that of a block in use. */
export function isHeld(word: number): boolean {
  const tag = tagOf(word);
  return tag !== 0 && tag !== COLLECTED && tag !== TRIMMED;
}

/** Bytes of the table, a region of its own, for a slab of `slabBytes`. */
export function slabTagsBytes(slabBytes: number): number {
  return Math.ceil(slabBytes / UNIT) * 4;
}
