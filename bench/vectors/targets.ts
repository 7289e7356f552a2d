/** What the engine is meant to reach, beside what was measured. */
import { CACHE_LINE } from '../../runtime/config/bounds.ts';
import { REFERENCE, type Row } from './compare.ts';
import { MACHINE_NAME } from './engines.ts';
import { RECALLS, ratioAtRecall } from './equal-recall.ts';
import type { KernelRow } from './kernels.ts';
import type { ThreadsRow } from './threads.ts';

export interface Target {
  readonly what: string;
  /** Such as "≥ 3.0". */
  readonly wanted: string;
  readonly measured: string;
  /** Null when the measurement does not say. */
  readonly isMet: boolean | null;
}

/** Times the rate of hnswlib-node at equal recall; the first is of fewer than so many dimensions. */
const WIDE = 384;
const SEARCH = { narrow: 3, wide: 3.5, f32: 1.7 };
const BUILD = { i8: 3, f32: 1.7 };
const SECOND_THREAD = 1.8;
const KERNEL = { f32: 5, i8: 12 };
/** Recall at this effort may be so much below that of hnswlib-node. */
export const EFFORT = 64;
export const RECALL_LOSS = 0.01;
/** Bytes of a vector of int8 with re-rank from disk, beside its components. */
const BYTES_BESIDES = 170;

function atLeast(what: string, wanted: number, values: readonly (number | null)[], unit = ' ×'): Target {
  const known = values.filter((value) => value !== null);
  const least = Math.min(...known);
  const measured = known.map((value) => value.toFixed(2)).join(', ');
  return {
    what,
    wanted: `≥ ${wanted.toFixed(1)}${unit}`,
    measured: known.length === 0 ? 'not measured' : measured + unit,
    isMet: known.length === 0 ? null : least >= wanted,
  };
}

/** Of one data set, whose rows these are. */
export function engineTargets(rows: readonly Row[]): Target[] {
  const of = (engine: string, elementType: string) =>
    rows.filter((row) => row.engine === engine && row.elementType === elementType);
  const reference = of(REFERENCE, 'f32');
  const [i8, f32] = [of('native', 'i8'), of('native', 'f32')];
  if (reference.length === 0) return [];
  const ratios = (own: readonly Row[]) => RECALLS.map((recall) => ratioAtRecall(own, reference, recall));
  const { dim, data } = rows[0]!;
  const where = `${data}, ${dim}-d`;
  const targets = [
    atLeast(
      `${where}: searches, int8, at recall ${RECALLS.join(', ')}`,
      dim < WIDE ? SEARCH.narrow : SEARCH.wide,
      ratios(i8),
    ),
    atLeast(`${where}: searches, float32, the same`, SEARCH.f32, ratios(f32)),
    atLeast(`${where}: building, int8`, BUILD.i8, [i8[0]?.buildRatio ?? null]),
    atLeast(`${where}: building, float32`, BUILD.f32, [f32[0]?.buildRatio ?? null]),
    recallTarget(where, i8, reference),
    recallTarget(where, f32, reference),
  ];
  if (typeof i8[0]?.bytesPerVector === 'number') targets.push(bytesTarget(where, i8[0]));
  const usearch = of('usearch', 'i8');
  if (usearch.length > 0) targets.push(usearchTarget(where, i8, usearch, reference));
  return targets.filter(({ measured }) => measured !== 'not measured');
}

function recallTarget(where: string, own: readonly Row[], reference: readonly Row[]): Target {
  const at = (rows: readonly Row[]) => rows.find(({ ef }) => ef === EFFORT)?.recall;
  const [mine, theirs] = [at(own), at(reference)];
  const isKnown = mine !== undefined && theirs !== undefined;
  return {
    what: `${where}: recall at ef ${EFFORT}, ${own[0]?.elementType ?? ''}, against hnswlib's`,
    wanted: `≥ −${RECALL_LOSS}`,
    measured: isKnown ? (mine - theirs).toFixed(4) : 'not measured',
    isMet: isKnown ? mine - theirs >= -RECALL_LOSS : null,
  };
}

/** The rows of float32, whole cache lines, are then a file's, which the system keeps in memory or not. */
function bytesTarget(where: string, { bytesPerVector, dim }: Row): Target {
  const beside = bytesPerVector! - Math.ceil((dim * 4) / CACHE_LINE) * CACHE_LINE;
  return {
    what: `${where}: bytes a vector, float32 on disk, with what a thread takes`,
    wanted: `≤ ${dim + BYTES_BESIDES}`,
    measured: beside.toFixed(0),
    isMet: beside <= dim + BYTES_BESIDES,
  };
}

function usearchTarget(
  where: string,
  own: readonly Row[],
  usearch: readonly Row[],
  reference: readonly Row[],
): Target {
  const ratios = RECALLS.map((recall) => {
    const [mine, theirs] = [own, usearch].map((rows) => ratioAtRecall(rows, reference, recall));
    return mine && theirs ? mine / theirs : null;
  });
  const target = atLeast(`${where}: searches, int8, against usearch's int8`, 1, ratios);
  if (target.isMet !== null) return target;
  const most = Math.max(...usearch.map(({ recall }) => recall));
  const isAhead = own.some(({ recall }) => recall >= RECALLS[0]!);
  return { ...target, measured: `usearch finds ${most.toFixed(3)} at most`, isMet: isAhead ? true : null };
}

export function otherTargets(threads: readonly ThreadsRow[], kernels: readonly KernelRow[]): Target[] {
  const second = threads.map(({ elementType, dim, searchGain, buildGain }) =>
    atLeast(`${dim}-d: two threads, ${elementType}, searching and building`, SECOND_THREAD, [
      searchGain,
      buildGain,
    ]),
  );
  const faster = kernels.map(({ kernel, dim, plain, four }) =>
    atLeast(`${dim}-d: ${kernel}, against plain JavaScript`, kernel.endsWith('i8') ? KERNEL.i8 : KERNEL.f32, [
      plain / four,
    ]),
  );
  return [...second, ...faster];
}

/** For those who wonder how much of it is the peers' build. */
export const NOTE = `Ratios are to the npm build of hnswlib-node, which uses SSE alone; "${MACHINE_NAME}" is in the tables above.`;
