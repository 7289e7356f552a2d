import { SQUARED_LENGTH_MAX } from '../../fuse/namespace/collections.ts';
import type { Collection } from '../../fuse/namespace/namespace.ts';

/** Why nothing of the collection can be near to this, in a sentence; undefined when it can. */
export function wrongQuery(
  vector: Float32Array,
  { name, dimension, metric }: Pick<Collection, 'name' | 'dimension' | 'metric'>,
): string | undefined {
  if (vector.length !== dimension)
    return `vectors of the collection "${name}" have ${dimension} elements, the query has ${vector.length}`;
  let squares = 0;
  for (let i = 0; i < dimension; i++) {
    if (!Number.isFinite(vector[i]!)) return `element ${i} of the query is not a finite float32`;
    squares += vector[i]! * vector[i]!;
  }
  if (metric !== 'cosine' && squares > SQUARED_LENGTH_MAX)
    return 'the query is too long: distances to it are no finite float32';
  if (metric === 'cosine' && squares === 0)
    return 'a vector of zeros has no direction, and is near to nothing';
  return undefined;
}
