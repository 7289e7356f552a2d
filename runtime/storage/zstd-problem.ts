/** Why nothing can be compressed or expanded here, and what to do; undefined = it can. */
export async function zstdProblem(): Promise<string | undefined> {
  try {
    await import('./zstd-block.ts');
    return undefined;
  } catch (error) {
    const [why] = (error as Error).message.split('\n');
    return `zstd-napi does not load (${why}): run "npm rebuild zstd-napi" where VexFS is installed, with g++, make and Python`;
  }
}
