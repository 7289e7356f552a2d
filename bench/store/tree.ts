/** A tree of many small files for the parts that are about the size of a store. */
import fs from 'node:fs';
import path from 'node:path';

export const PER_DIRECTORY = 1_000;
export const FILE_BYTES = 200;

/** Files `directory`/dN/M, all of them durable when it returns. */
export function makeTree(directory: string, files: number): void {
  const data = Buffer.alloc(FILE_BYTES, 7);
  for (let at = 0; at < files; at++) {
    const folder = path.join(directory, `d${Math.floor(at / PER_DIRECTORY)}`);
    if (at % PER_DIRECTORY === 0) fs.mkdirSync(folder);
    fs.writeFileSync(path.join(folder, `${at}`), data);
  }
  const root = fs.openSync(directory, 'r');
  fs.fsyncSync(root);
  fs.closeSync(root);
}
