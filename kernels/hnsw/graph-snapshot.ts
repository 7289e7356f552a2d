/**
 * A graph as bytes that can be kept and put back, in another process and in a memory of another capacity: nothing in it is an
 * address. A description of fixed size, then the used part of each region, as views of the graph's own memory: whoever keeps a
 * snapshot writes them one after the other and reads into them, without a copy. They are not checksummed here.
 */
import * as layout from '../assembly/layout.ts';
import { type ElementType, type GraphMemory, headerWord, makeGraphMemory } from './graph-memory.ts';
import type { IndexOptions } from './vector-index.ts';

/** Bytes of the description that a snapshot begins with. */
export const DESCRIPTION_BYTES = 4 * layout.HEADER_WORDS;

/** Words of the header that say how rows are laid out: those of a snapshot must be those of the memory it is read into. */
const FORM = [
  layout.MAGIC_WORD,
  layout.VECTOR_BYTES,
  layout.CODE_BYTES,
  layout.CODE_LENGTH,
  layout.METRIC,
  layout.LINKS_MAX,
];
/** Words that say what is in the graph. */
const STATE = [
  layout.UNIT,
  layout.WEIGHT_UNIT,
  layout.CENTRE_SQUARED,
  layout.NODES,
  layout.ENTRY,
  layout.UPPER_NEXT,
  layout.CODED,
  layout.OUTSIDE,
  layout.TRAINED_WITH,
];

/** The header, when nobody is inserting: only the owner changes the graph then. */
export function describeGraph({ memory }: GraphMemory): Uint8Array {
  return new Uint8Array(memory.buffer, layout.HEADER, DESCRIPTION_BYTES).slice();
}

/** The used part of each region, in the order of a snapshot. Their sizes follow from the header. */
export function usedParts({ memory, u32 }: GraphMemory): Uint8Array[] {
  const word = (name: number) => u32[headerWord(name)]!;
  const nodes = word(layout.NODES);
  const components = word(layout.CODE_LENGTH);
  const parts: readonly [region: number, bytes: number][] = [
    [layout.CENTRES, components * 4],
    [layout.STEPS, components * 4],
    [layout.INVERSES, components * 4],
    [layout.WEIGHTS, components * 2],
    [layout.STATES, nodes * 4],
    [layout.LABELS, nodes * 4],
    [layout.NORMS, nodes * 4],
    [layout.TWINS, nodes * 4],
    [layout.INDEGREES, nodes * 4],
    [layout.UPPER, nodes * 4],
    [layout.UPPER_LINKS, word(layout.UPPER_NEXT)],
    [layout.LINKS, nodes * word(layout.LINKS_MAX) * 8],
    [layout.CODES, nodes * word(layout.CODE_BYTES)],
    [layout.VECTORS, nodes * word(layout.VECTOR_BYTES)],
  ];
  return parts.map(([region, bytes]) => new Uint8Array(memory.buffer, word(region), bytes));
}

export function elementOfSnapshot(description: Uint8Array): ElementType {
  return wordsOf(description)[layout.CODE_BYTES] === 0 ? 'f32' : 'i8';
}

function wordsOf(description: Uint8Array): Uint32Array {
  return new Uint32Array(description.slice(0, DESCRIPTION_BYTES).buffer);
}

/**
 * Makes a memory of what a snapshot holds: `read` fills each part with the bytes that follow. Undefined when the snapshot is of
 * another form than the options ask for, or does not fit. What is inside is not looked at.
 */
export function readGraph(
  options: IndexOptions,
  capacity: number | undefined,
  description: Uint8Array,
  read: (part: Uint8Array) => void,
): GraphMemory | undefined {
  if (description.byteLength !== DESCRIPTION_BYTES) return undefined;
  const words = wordsOf(description);
  const element = elementOfSnapshot(description);
  const graph = makeGraphMemory(options, element, capacity);
  const { u32 } = graph;
  if (FORM.some((word) => words[word] !== u32[headerWord(word)])) return undefined;
  if (words[layout.NODES]! > u32[headerWord(layout.CAPACITY)]!) return undefined;
  if (words[layout.UPPER_NEXT]! > u32[headerWord(layout.UPPER_LIMIT)]!) return undefined;
  for (const word of STATE) u32[headerWord(word)] = words[word]!;
  for (const part of usedParts(graph)) read(part);
  return graph;
}
