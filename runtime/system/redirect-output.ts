import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { openLogFile } from '../log.ts';

const dup2 = koffi.load(null).func('int dup2(int oldfd, int newfd)');

/**
 * From now on everything written to descriptors 1 and 2, by this program or by native code in it, is appended
 * to `file`. @throws {UserError} if it cannot be.
 */
export function redirectOutput(file: string): void {
  const descriptor = openLogFile(file);
  dup2(descriptor, 1);
  dup2(descriptor, 2);
  closeSync(descriptor);
}
