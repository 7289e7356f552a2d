/** Reads the word table that the build put beside this file. What the build made is all that kernels read. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { loadWords } from './words.ts';

/**
 * The whole table in memory that all threads can share: each calls {@link loadWords} on it.
 * @throws Error that names the remedy when the table is missing, cut short or of another version.
 */
export function readWords(path: URL | string = new URL('./words.bin', import.meta.url)): SharedArrayBuffer {
  const fd = openTable(path);
  try {
    const buffer = new SharedArrayBuffer(fstatSync(fd).size);
    const bytes = new Uint8Array(buffer);
    for (let at = 0; at < bytes.length; ) {
      const read = readSync(fd, bytes, at, bytes.length - at, at);
      if (read === 0) break;
      at += read;
    }
    loadWords(buffer);
    return buffer;
  } finally {
    closeSync(fd);
  }
}

function openTable(path: URL | string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    throw new Error(`The word table ${path} cannot be read: run \`npm run build\` to make it.`, { cause });
  }
}
