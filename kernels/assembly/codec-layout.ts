/**
 * Where the exact codec's module (exact-codec.ts) has what it works on, in bytes from the beginning of its memory, which
 * belongs to one thread. Shared with the TypeScript that calls it (kernels/codec/exact-native.ts).
 */

/** Most values of a block: VALUES_PER_BLOCK and a vector of VECTOR_DIMENSION_MAX. */
export const BLOCK_VALUES_MAX = 40_960;
/** Symbols of a prefix code, and the bits of its longest: see kernels/codec/prefix-code.ts. */
export const CODE_SYMBOLS = 258;
export const CODE_PAIRS = 2048;
export const SEEN_SLOTS = 4096;

/** i32 per value: the vectors. */
export const WORDS = 1024;
/** i32 per literal: its magnitude while encoding, its word while decoding. */
export const KNOWN = WORDS + 4 * BLOCK_VALUES_MAX;
/** u16 per value, and some that are read along. */
export const SYMBOLS_AT = KNOWN + 4 * BLOCK_VALUES_MAX;
/** u16 per literal. */
export const LOW = SYMBOLS_AT + 2 * BLOCK_VALUES_MAX + 64;
/** u8 per literal. */
export const HIGH = LOW + 2 * BLOCK_VALUES_MAX + 64;
/** i32: literal in which a magnitude was seen. */
export const SEEN = HIGH + BLOCK_VALUES_MAX + 64;
/** u32 per symbol: how often it occurs. */
export const COUNTS = SEEN + 4 * SEEN_SLOTS;
/** u32 per symbol: its code, and from bit 16 on the length of that. */
export const CODES = COUNTS + 4 * (CODE_SYMBOLS + 2);
/** i32 by the next bits: what a decoder reads from them. */
export const PAIRS = CODES + 4 * (CODE_SYMBOLS + 2);
/** The codes: at most 11 bits a value. */
export const STREAM = PAIRS + 4 * CODE_PAIRS;
export const STREAM_BYTES_MAX = 2 * BLOCK_VALUES_MAX;
/** Back references: at most 14 bits a value. */
export const REFERENCES = STREAM + STREAM_BYTES_MAX + 64;
export const REFERENCE_BYTES_MAX = 2 * BLOCK_VALUES_MAX;
export const MEMORY_BYTES = REFERENCES + REFERENCE_BYTES_MAX + 64;
