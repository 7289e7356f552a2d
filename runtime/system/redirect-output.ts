import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

const dup2 = koffi.load(null).func('int dup2(int oldfd, int newfd)');

/**
 * From now on everything written to descriptors 1 and 2, by this program or by native code in it, is appended
 * to `file`. @throws the error of open(2) if the file cannot be opened.
 */
export function redirectOutput(file: string): void {
  const descriptor = openSync(file, 'a', 0o600);
  dup2(descriptor, 1);
  dup2(descriptor, 2);
  closeSync(descriptor);
}
