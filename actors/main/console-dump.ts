import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../../runtime/config/bounds.ts';
import { UserError } from '../../runtime/user-error.ts';

const DIRECTORY = 'dumps';
const LOG_TAIL = 1 * MIB;

/** A part of a bundle: text as it is, anything else as JSON. What fails is told in its place. */
export type DumpPart = () => unknown;

/**
 * Writes a post-mortem bundle, STORE/dumps/TIME/, which only the owner may read. It appears under its name when it is
 * complete. @throws {UserError} it could not be written.
 */
export async function writeDump(
  store: string,
  parts: Readonly<Record<string, DumpPart>>,
): Promise<{ path: string; files: string[] }> {
  const time = new Date().toISOString().replaceAll(':', '-').replace('.', '-');
  const path = join(store, DIRECTORY, time);
  const unfinished = `${path}.tmp`;
  try {
    makeOwnDirectory(join(store, DIRECTORY));
    mkdirSync(unfinished, { mode: 0o700 });
    for (const [name, part] of Object.entries(parts)) {
      writeFileSync(join(unfinished, name), await textOf(part), { mode: 0o600, flag: 'wx' });
    }
    renameSync(unfinished, path);
  } catch (error) {
    throw new UserError(`the bundle ${path} could not be written: ${(error as Error).message}`);
  }
  return { path, files: Object.keys(parts) };
}

/** Not where a link leads: that is not the store's. */
function makeOwnDirectory(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) mkdirSync(path, { mode: 0o700 });
  if (!lstatSync(path).isDirectory()) throw new Error(`${path} is no directory`);
}

async function textOf(part: DumpPart): Promise<string> {
  try {
    const value = await part();
    return typeof value === 'string' ? value : `${JSON.stringify(value, undefined, 2)}\n`;
  } catch (error) {
    return `not available: ${(error as Error).message}\n`;
  }
}

/** The end of a log file, from the beginning of a line. */
export function logTail(path: string): string {
  const descriptor = openSync(path, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const bytes = Math.min(size, LOG_TAIL);
    const buffer = Buffer.alloc(bytes);
    const got = readSync(descriptor, buffer, 0, bytes, size - bytes);
    const text = buffer.toString('utf8', 0, got);
    return bytes < size ? text.slice(text.indexOf('\n') + 1) : text;
  } finally {
    closeSync(descriptor);
  }
}
