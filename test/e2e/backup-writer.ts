/**
 * Writes until its input ends, each round in the same order: three large files whose bytes all are the number of the round
 * (one request each), a file that is removed and made anew, then a small file with the number. So at any instant the
 * numbers fall from the first file to the last, by one at most.
 */
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const [directory] = process.argv.slice(2);
const LARGE_BYTES = 256 * 1024;
const block = Buffer.alloc(LARGE_BYTES);
let isOver = false;
process.stdin.on('end', () => {
  isOver = true;
});
process.stdin.resume();
const files = ['a', 'b', 'c'].map((name) => openSync(join(directory!, name), 'w'));
const number = openSync(join(directory!, 'number'), 'w');
for (let round = 1; !isOver; round++) {
  block.fill(round % 251);
  for (const file of files) writeSync(file, block, 0, LARGE_BYTES, 0);
  rmSync(join(directory!, 'churn'), { force: true });
  writeFileSync(join(directory!, 'churn'), block);
  writeSync(number, String(round % 251).padStart(3, '0'), 0);
  if (round === 1) process.stdout.write('writing\n');
  await new Promise(setImmediate);
}
for (const file of [...files, number]) closeSync(file);
