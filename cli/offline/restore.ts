/** A store made of a backup, every byte of it compared with the checksums that the backup took. */
import fs from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../../runtime/config/bounds.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { STORE_DIRECTORIES, writeFormat } from '../../runtime/storage/store.ts';
import { identityOf } from '../../runtime/storage/store-format.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { BackupManifest } from './backup-manifest.ts';
import { checksumOf, FileCopier } from './copy-file.ts';
import type { Finding, Progress } from './findings.ts';

/** Names of a backup's files: nothing else is written to, whatever the manifest says. */
const NAME = /^(checkpoint|log|vectors|objects|text)(\/[\w.+-]+)+$|^vexfs\.toml$/;

/** Into `target`, a directory that exists and is empty. It is a store only when this returns. @throws {UserError} */
export function restore(backup: string, manifest: BackupManifest, target: string, progress: Progress): void {
  const copier = new FileCopier();
  for (const name of STORE_DIRECTORIES) fs.mkdirSync(join(target, name), { mode: 0o700 });
  for (const [at, [name]] of manifest.files.entries()) {
    progress('files', at, manifest.files.length);
    if (!NAME.test(name) || name.split('/').includes('..'))
      throw new UserError(`the backup names a file ${JSON.stringify(name)}`);
    if (!fs.existsSync(join(backup, name))) throw new UserError(`${name} is missing in the backup ${backup}`);
    copier.copy(join(backup, name), join(target, name));
  }
  const damaged = compare(target, manifest, progress);
  if (damaged.length > 0) {
    const names = damaged.map(({ file }) => file).join(', ');
    throw new UserError(`the backup ${backup} is damaged: ${names}; ${target} was not made a store`);
  }
  new HostDisk(target).syncAll();
  writeFormat(target, identityOf(manifest.uuid, manifest.created));
}

/** The files below `directory` that are not as the manifest says. */
export function compare(directory: string, { files }: BackupManifest, progress: Progress): Finding[] {
  const buffer = Buffer.allocUnsafe(4 * MIB);
  const findings: Finding[] = [];
  for (const [at, [file, bytes, crc]] of files.entries()) {
    progress('checksums', at, files.length);
    const path = join(directory, file);
    if (!fs.existsSync(path)) findings.push({ file, what: 'is missing' });
    else if (fs.statSync(path).size !== bytes)
      findings.push({ file, what: `has ${fs.statSync(path).size} bytes, not ${bytes}` });
    else if (checksumOf(path, buffer) !== crc) findings.push({ file, what: 'bad checksum' });
  }
  return findings;
}
