import * as layout from '../assembly/layout.ts';

/** In a part of a kept graph as it was read: labels are told anew, so every node stands for itself, and what was a twin is free. */
export function forgetTwins(part: Uint8Array): void {
  if (part.length === 0) return;
  const header = new Uint32Array(part.buffer, layout.HEADER, layout.HEADER_WORDS);
  if (part.byteOffset === header[layout.TWINS]) part.fill(0);
  if (part.byteOffset !== header[layout.STATES]) return;
  const states = new Uint32Array(part.buffer, part.byteOffset, part.length / 4);
  for (let node = 0; node < states.length; node++) {
    const state = states[node]!;
    states[node] = state & ((state & layout.TWIN) !== 0 ? layout.LEVEL_MASK : ~layout.HIDDEN);
  }
}
