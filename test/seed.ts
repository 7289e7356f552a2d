/** Where the randomness of a test comes from: one number, which is printed, and which VEXFS_TEST_SEED gives it again. */

/** For `what`; with `usual` it is the same in every run that does not ask for another. */
export function testSeed(what: string, usual?: number): number {
  const seed = Number(process.env.VEXFS_TEST_SEED ?? usual ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`${what}: seed ${seed} (VEXFS_TEST_SEED)`);
  return seed;
}

/** Numbers of 32 bits, the same ones for the same seed (mulberry32). */
export function randomWords(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** Whole numbers in [0, bound). */
export function seeded(seed: number): (bound: number) => number {
  const next = randomWords(seed);
  return (bound) => next() % bound;
}

/** Numbers in [0, 1). */
export function randomFrom(seed: number): () => number {
  const next = randomWords(seed);
  return () => next() / 2 ** 32;
}
