/** What the parts of the benchmark have in common: rounds in which everything is measured in turn, rows, and targets. */

export interface Sample {
  readonly round: number;
  readonly row: string;
  readonly peer: string;
  readonly value: number;
}

export interface Row {
  readonly name: string;
  /** "/s": more is better; "µs", "ms" and "B/B" (bytes for each byte): less is better; "×": a ratio. */
  readonly unit: '/s' | 'µs' | 'ms' | 'B/B' | '×';
  /** Whose value is compared with the others'. */
  readonly subject: string;
  readonly peers: readonly string[];
  /** Least value of the subject. */
  readonly least?: number;
  /** Greatest value of the subject, where less is better. */
  readonly most?: number;
  /** Least ratio subject / peer, by peer. */
  readonly targets?: Readonly<Record<string, number>>;
}

export interface Part {
  readonly name: string;
  readonly rows: readonly Row[];
  /** What the reader of the table must know. */
  readonly notes: readonly string[];
  readonly samples: readonly Sample[];
}

export interface Effort {
  readonly rounds: number;
  /** Milliseconds of one measurement. */
  readonly milliseconds: number;
  /** Shows that everything runs, measures nothing. */
  readonly quick: boolean;
  readonly say: (text: string) => void;
}

/** One thing to measure, by one peer. */
export interface Measurement {
  readonly row: string;
  readonly peer: string;
  readonly run: () => Promise<number>;
}

/** Every measurement once a round, the peers of a row one right after the other, beginning with another one each time. */
export async function inRounds(
  name: string,
  measurements: readonly Measurement[],
  { rounds, say }: Effort,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const rows = [...new Set(measurements.map(({ row }) => row))];
  for (let round = 0; round < rounds; round++) {
    const begin = performance.now();
    for (const [index, row] of rows.entries()) {
      const all = measurements.filter((measurement) => measurement.row === row);
      const from = (round + index) % all.length;
      for (const { peer, run } of [...all.slice(from), ...all.slice(0, from)]) {
        samples.push({ round, row, peer, value: await run() });
      }
    }
    say(`${name}, round ${round + 1} of ${rounds}: ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  }
  return samples;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
