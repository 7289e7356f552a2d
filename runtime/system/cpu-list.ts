/** Lists of CPUs and nodes as the kernel writes them: "0-3,8". */

import { readFileSync } from 'node:fs';

/** Highest CPU number that is believed: the kernel's own limit is 8,192. */
const CPU_MAX = 65_535;
const PART = /^(\d+)(?:-(\d+))?(?::\d+\/\d+)?$/;

/** The numbers of a list in order, each once; [] of an empty one. Undefined unless `text` is such a list. */
export function parseCpuList(text: string): number[] | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return [];
  const numbers = new Set<number>();
  for (const part of trimmed.split(',')) {
    const match = PART.exec(part.trim());
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (last < first || last > CPU_MAX) return undefined;
    for (let number = first; number <= last; number++) numbers.add(number);
  }
  return [...numbers].toSorted((a, b) => a - b);
}

/** How many CPUs the kernel is prepared for, those included that are offline or not plugged in. */
export function possibleCpus(): number {
  return parseCpuList(readFileSync('/sys/devices/system/cpu/possible', 'latin1'))?.length ?? 1;
}

/** [0, 1, 2, 5] → "0-2,5". Numbers in order. */
export function formatCpuList(numbers: readonly number[]): string {
  const ranges: string[] = [];
  for (let i = 0; i < numbers.length; ) {
    let end = i;
    while (numbers[end + 1] === numbers[end]! + 1) end++;
    ranges.push(end === i ? String(numbers[i]) : `${numbers[i]}-${numbers[end]}`);
    i = end + 1;
  }
  return ranges.join(',');
}
