/**
 * Where the exact codec's module (exact-codec.ts) has what it works on, in bytes from the beginning of its memory, which
 * belongs to one thread. Shared with the TypeScript that calls it (kernels/codec/exact-native.ts).
 */

/** Most values of a block: VALUES_PER_BLOCK and a vector of VECTOR_DIMENSION_MAX. */
export const BLOCK_VALUES_MAX = 40_960;
/** Symbols of a prefix code, and the bits of its longest: see kernels/codec/prefix-code.ts. */
export const CODE_SYMBOLS = 258;
export const TABLE_ENTRIES = 2048;
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
/** u32 by the next bits: the symbol, and from bit 16 on the length of its code; 0 = none. */
export const SINGLES = CODES + 4 * (CODE_SYMBOLS + 2);
/** u64 by the next bits: up to three symbols of 16 bits, how many, and how long their codes are together. */
export const TABLE = SINGLES + 4 * TABLE_ENTRIES;
/** The codes: at most 11 bits a value. */
export const STREAM = TABLE + 8 * TABLE_ENTRIES;
export const STREAM_BYTES_MAX = 2 * BLOCK_VALUES_MAX;
/** Back references: at most 14 bits a value. */
export const REFERENCES = STREAM + STREAM_BYTES_MAX + 64;
export const REFERENCE_BYTES_MAX = 2 * BLOCK_VALUES_MAX;
export const MEMORY_BYTES = REFERENCES + REFERENCE_BYTES_MAX + 64;
