/**
 * `backup.json`: what makes a directory a backup, written last. JSON in one line (runtime/storage/sealed-json.ts):
 *
 *   {"backup":1,"store":2,"uuid":…,"created":…,"at":…,"source":…,"files":[["log/00000001.log",4096,1234567],…],"sha256":"…"}
 *
 * Each file with its bytes and their CRC-32C. The files lie where they lie in a store; only `format` is missing, so that
 * nothing mounts a backup.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { seal, unseal } from '../../runtime/storage/sealed-json.ts';
import { BACKUP_FILE } from '../../runtime/storage/store.ts';
import { STORE_FORMAT } from '../../runtime/storage/store-format.ts';
import { UserError } from '../../runtime/user-error.ts';

const BACKUP_FORMAT = 1;

export type BackupFile = readonly [name: string, bytes: number, crc32c: number];

export interface BackupManifest {
  readonly backup: number;
  /** Format of the store. */
  readonly store: number;
  readonly uuid: string;
  /** When the store was made, and when the backup: ISO 8601. */
  readonly created: string;
  readonly at: string;
  /** The store's path then. */
  readonly source: string;
  readonly files: readonly BackupFile[];
}

export function writeManifest(
  directory: string,
  manifest: Omit<BackupManifest, 'backup' | 'store'>,
): BackupManifest {
  const whole = { backup: BACKUP_FORMAT, store: STORE_FORMAT, ...manifest };
  const temporary = join(directory, `${BACKUP_FILE}.tmp`);
  fs.rmSync(temporary, { force: true });
  const descriptor = fs.openSync(temporary, 'wx', 0o600);
  fs.writeFileSync(descriptor, seal(whole));
  fs.fsyncSync(descriptor);
  fs.closeSync(descriptor);
  fs.renameSync(temporary, join(directory, BACKUP_FILE));
  return whole;
}

/** @throws {UserError} that says why it is no backup that can be used. */
export function readManifest(directory: string): BackupManifest {
  const path = join(directory, BACKUP_FILE);
  if (!fs.existsSync(directory)) throw new UserError(`${directory} does not exist`);
  if (!fs.existsSync(path)) {
    throw new UserError(
      `${directory} is not a backup, or one that was not finished: it has no ${BACKUP_FILE}`,
    );
  }
  const manifest = unseal(fs.readFileSync(path, 'utf8')) as BackupManifest | undefined;
  if (manifest === undefined) throw new UserError(`${path} is damaged`);
  if (manifest.backup > BACKUP_FORMAT || manifest.store > STORE_FORMAT) {
    const made = `${directory} was made by a newer VexFS (backup format ${manifest.backup}, store format ${manifest.store})`;
    throw new UserError(
      `${made}; this program knows up to ${BACKUP_FORMAT} and ${STORE_FORMAT}: use a newer one`,
    );
  }
  return manifest;
}
