/** Rates of engines at the same recall, between the efforts that were measured. */
import type { Row } from './compare.ts';

/** Those at which engines are compared. */
export const RECALLS: readonly number[] = [0.95, 0.98];

/** Logarithm of the time of a search at a recall, linear between the two efforts around it; undefined beyond them. */
function timeAt(rows: readonly Row[], recall: number, timeOf: (row: Row) => number): number | undefined {
  const sorted = [...rows].sort((a, b) => a.ef - b.ef);
  const above = sorted.findIndex((row) => row.recall >= recall);
  if (above < 0) return undefined;
  const high = sorted[above]!;
  const low = sorted[above - 1];
  if (low === undefined) return high.recall === recall ? Math.log(timeOf(high)) : undefined;
  const share = (recall - low.recall) / (high.recall - low.recall);
  return Math.log(timeOf(low)) * (1 - share) + Math.log(timeOf(high)) * share;
}

/** How many times the reference's rate an engine has when both find the share `recall`; null when one is not there or never does. */
export function ratioAtRecall(own: readonly Row[], reference: readonly Row[], recall: number): number | null {
  // A row's ratio is to the reference at the same effort: so each is measured against the same turns.
  const relative = new Map(own.map((row) => [row.ef, row.ratio]));
  const unit = timeAt(reference, recall, (row) => row.cpu);
  const time = timeAt(own, recall, (row) => {
    const at = reference.find(({ ef }) => ef === row.ef);
    const ratio = relative.get(row.ef);
    return at === undefined || ratio === null || ratio === undefined ? Number.NaN : at.cpu / ratio;
  });
  if (unit === undefined || time === undefined || Number.isNaN(time)) return null;
  return Math.exp(unit - time);
}
