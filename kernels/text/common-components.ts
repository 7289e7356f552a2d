/**
 * Word vectors share a mean and a few directions that say how frequent a word is rather than what it means.
 * Removing them makes unrelated words unrelated (Mu & Viswanath 2018, "All-but-the-Top").
 */

/** Subtracts, in place, the mean of all rows and their `count` strongest principal components. */
export function removeCommonComponents(rows: Float32Array, dimension: number, count: number): void {
  subtractMean(rows, dimension);
  for (let c = 0; c < count; c++) removeDirection(rows, dimension, strongestDirection(rows, dimension));
}

function subtractMean(rows: Float32Array, dimension: number): void {
  const mean = new Float64Array(dimension);
  for (let r = 0; r < rows.length; r += dimension) {
    for (let i = 0; i < dimension; i++) mean[i]! += rows[r + i]!;
  }
  const n = rows.length / dimension;
  for (let r = 0; r < rows.length; r += dimension) {
    for (let i = 0; i < dimension; i++) rows[r + i]! -= mean[i]! / n;
  }
}

/** First eigenvector of the covariance, by power iteration from a fixed start. */
function strongestDirection(rows: Float32Array, dimension: number): Float64Array {
  const covariance = new Float64Array(dimension * dimension);
  for (let r = 0; r < rows.length; r += dimension) {
    for (let i = 0; i < dimension; i++) {
      const x = rows[r + i]!;
      for (let j = i; j < dimension; j++) covariance[i * dimension + j]! += x * rows[r + j]!;
    }
  }
  let direction = new Float64Array(dimension).fill(1 / Math.sqrt(dimension));
  for (let iteration = 0; iteration < 60; iteration++) {
    const next = new Float64Array(dimension);
    let squares = 0;
    for (let i = 0; i < dimension; i++) {
      let sum = 0;
      for (let j = 0; j < dimension; j++) {
        sum += covariance[Math.min(i, j) * dimension + Math.max(i, j)]! * direction[j]!;
      }
      next[i] = sum;
      squares += sum * sum;
    }
    if (squares === 0) return next;
    direction = next.map((x) => x / Math.sqrt(squares));
  }
  return direction;
}

function removeDirection(rows: Float32Array, dimension: number, direction: Float64Array): void {
  for (let r = 0; r < rows.length; r += dimension) {
    let along = 0;
    for (let i = 0; i < dimension; i++) along += rows[r + i]! * direction[i]!;
    for (let i = 0; i < dimension; i++) rows[r + i]! -= along * direction[i]!;
  }
}
