/**
 * The effort of a search, and how much of it a wanted recall takes in an index: found by asking it for what is near places beside some of
 * its own vectors. What comes out holds for questions that lie as the vectors do, and is an estimate: it may be a few hundredths off.
 */
import { EF_MAX } from '../assembly/layout.ts';
import { SearchHits, type VectorIndex } from './vector-index.ts';

/**
 * How much a search looks at, in one word: the length of its walk's list, and from bit 16 on its patience. With a patience above 0 a walk
 * ends when the links of so many in a row have led to nothing among the nearest k, and finds less.
 */
export function effortOf(ef: number, patience: number): number {
  return ((Math.min(patience, 0xffff) << 16) | Math.min(ef, 0xffff)) >>> 0;
}

export function efOf(effort: number): number {
  return effort & 0xffff;
}

export function patienceOf(effort: number): number {
  return effort >>> 16;
}

/** What can be asked: a graph, or all that there is of a collection. */
export type Asked = Pick<VectorIndex, 'search' | 'read'>;

/** Efforts that are tried, ascending: each about 1.4 times the one before. */
const EFFORTS = [12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024];
/** What is found with so many times the effort is taken for all there is. */
const TRUTH_FACTOR = 8;
const TRUTH_MIN = 256;
const NEIGHBOURS = 4;

/**
 * The least effort of those tried at which searches for `k` find the share `recall` (0 … 1) of the nearest, at least k; the largest
 * when none does. Pauses after each search, or two; takes about 2,000 searches' time with 64 probes.
 */
export function* effortForRecall(
  index: Asked,
  k: number,
  recall: number,
  vectors: readonly Float32Array[],
): Generator<undefined, number> {
  const enough = EFFORTS.filter((effort) => effort >= k);
  const probes: Float32Array[] = [];
  const truths: SearchHits[] = [];
  for (const vector of vectors) {
    const probe = besides(index, vector);
    probes.push(probe);
    truths.push(nearest(index, probe, k, Math.min(EF_MAX, Math.max(TRUTH_MIN, k * TRUTH_FACTOR))));
    yield;
  }
  for (const effort of enough) {
    let shared = 0;
    let all = 0;
    for (const [i, probe] of probes.entries()) {
      const truth = truths[i]!;
      // of equally near ones each is as good
      const farthest = truth.distances[truth.count - 1] ?? Number.NEGATIVE_INFINITY;
      const found = nearest(index, probe, k, effort);
      for (let at = 0; at < found.count; at++) if (found.distances[at]! <= farthest) shared++;
      all += truth.count;
      yield;
    }
    if (shared >= all * recall) return effort;
  }
  return enough.at(-1) ?? k;
}

/**
 * A place about as far from `vector` as its nearest are, in a direction in which these differ. What is near a vector of the index
 * itself is found with less effort than what is near a question, as its own links lead there.
 */
function besides(index: Asked, vector: Float32Array): Float32Array {
  const { count, labels } = nearest(index, vector, NEIGHBOURS, TRUTH_MIN);
  const [a, b] = [new Float32Array(vector.length), new Float32Array(vector.length)];
  const isKnown = count > 2 && index.read(labels[1]!, a) && index.read(labels[count - 1]!, b);
  return isKnown ? vector.map((x, i) => x + (a[i]! - b[i]!) * Math.SQRT1_2) : vector;
}

function nearest(index: Asked, query: Float32Array, k: number, effort: number): SearchHits {
  const hits = new SearchHits(k);
  index.search(query, k, effort, hits);
  return hits;
}
