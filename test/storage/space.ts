import { SpaceWatch, type SpaceWatchOptions } from '../../actors/io/space-watch.ts';

/** One that finds enough as soon as the reserve is there, which has `bytes`. */
export function watchOf(
  parts: Pick<SpaceWatchOptions, 'disk' | 'journal' | 'log' | 'clock'>,
  bytes = 0,
): SpaceWatch {
  return new SpaceWatch({ ...parts, reserveBytes: bytes, leastFree: () => 0, looked: () => {} });
}
