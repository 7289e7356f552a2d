/** Opens a store that nobody has mounted, to look at it; an identity that is damaged is read off what it is written on. */
import fs from 'node:fs';
import { join } from 'node:path';
import { decodeSegmentHeader, SEGMENT_HEADER } from '../../kernels/codec/log-format.ts';
import { type OpenStore, openStore, type StoreProblem, writeFormat } from '../../runtime/storage/store.ts';
import { FORMAT_FILE, identityOf, type StoreIdentity } from '../../runtime/storage/store-format.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { Finding } from './findings.ts';

export interface OpenedOffline {
  readonly store: OpenStore;
  /** Of the file `format`, mended by now. */
  readonly mended: Finding | undefined;
}

/** Throws a UserError when it is in use or no store; a damaged `format` is mended if `repair` is set, else a finding. */
export function openOffline(path: string, repair: boolean): OpenedOffline | Finding {
  const opened = openStore(path, { create: false, inspect: true });
  if (!('kind' in opened)) return { store: opened, mended: undefined };
  const identity = isMaimed(path, opened) ? findIdentity(path) : undefined;
  if (opened.kind === 'damaged' && !repair) {
    const remedy = identity === undefined ? '' : '; "vexfs check --repair" makes it anew';
    return { file: FORMAT_FILE, what: `is damaged: which store this is cannot be read${remedy}` };
  }
  if (identity === undefined) throw new UserError(describe(opened));
  if (!repair) return { file: FORMAT_FILE, what: 'is missing; "vexfs check --repair" makes it anew' };
  writeFormat(path, identity);
  const again = openStore(path, { create: false, inspect: true });
  if ('kind' in again) throw new UserError(describe(again));
  return { store: again, mended: { file: FORMAT_FILE, what: 'was damaged; made anew' } };
}

function describe({ kind, message }: StoreProblem): string {
  return kind === 'locked' ? `${message}. Unmount it first` : message;
}

/** A directory with what only a store has. */
function isMaimed(path: string, { kind }: StoreProblem): boolean {
  if (kind === 'damaged') return true;
  return (
    kind === 'not-a-store' &&
    ['log', 'checkpoint', 'objects'].every((name) => fs.existsSync(join(path, name)))
  );
}

/** The identity is in the header of each segment of the log and in the manifest of each checkpoint. */
function findIdentity(path: string): StoreIdentity | undefined {
  const created = new Date().toISOString();
  for (const file of filesIn(join(path, 'log'), '.log')) {
    const header = decodeSegmentHeader(fs.readFileSync(file).subarray(0, SEGMENT_HEADER));
    if (typeof header !== 'string') return identityOf(uuidOf(header.uuid), created);
  }
  for (const directory of filesIn(join(path, 'checkpoint'), '')) {
    const manifest = join(directory, 'manifest.json');
    const text = fs.existsSync(manifest) ? fs.readFileSync(manifest, 'latin1') : '';
    const uuid = /"uuid":"([0-9a-f-]{36})"/.exec(text)?.[1];
    if (uuid !== undefined) return identityOf(uuid, created);
  }
  return undefined;
}

function filesIn(directory: string, end: string): string[] {
  if (!fs.existsSync(directory)) return [];
  const names = fs.readdirSync(directory).filter((name) => name.endsWith(end));
  return names.sort().map((name) => join(directory, name));
}

function uuidOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
