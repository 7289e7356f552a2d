/**
 * Whether a thread has loaded its code. Until then it is not ended: code of the machine that is being loaded (koffi, zstd-napi) bears
 * no end, and takes the whole process with it.
 *
 * Roles: the thread says it once; main waits for it before it ends the thread.
 *
 * Invariants
 * 1. The word is 0 until the thread has loaded everything, then 1 for good. Its store publishes nothing else.
 */
export function newLoading(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4));
}

/** By the thread. */
export function isLoaded(loading: Int32Array): void {
  Atomics.store(loading, 0, 1);
  Atomics.notify(loading, 0);
}

/** Resolves when the thread is loaded, or after `ms` milliseconds. */
export async function untilLoaded(loading: Int32Array, ms: number): Promise<void> {
  const waiting = Atomics.waitAsync(loading, 0, 0, ms);
  if (waiting.async) await waiting.value;
}
