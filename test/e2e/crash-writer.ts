/** Copies files into a directory, and says on stdout which of them are durable: one line after each fsync returned. */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { contentOf } from './crash-content.ts';

const directory = process.argv[2]!;
for (let i = 0; ; i++) {
  const name = join(directory, `file-${i}`);
  // Every third file goes through the habit of editors: write aside, fsync, rename over.
  const target = i % 3 === 0 ? `${name}.tmp` : name;
  const fd = openSync(target, 'w');
  const bytes = contentOf(i);
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, Math.min(100_000, bytes.length - at));
  if (i % 2 === 0) fsyncSync(fd);
  closeSync(fd);
  if (target !== name) renameSync(target, name);
  if (i % 2 === 0) writeSync(1, `${i}\n`);
}
