/**
 * Changes files in a directory until it is ended, and says on stdout what is durable: a line after each fsync returned.
 *
 *   file N     file-N has contentOf(N)          vector N    and vectorOf(N)
 *   doc K N    doc-K has contentOf(N)           gone N      file-N was removed
 *   moved N    file-N is in the folder `moved`
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setXattr } from '../../runtime/system/xattr.ts';
import { contentOf, vectorOf } from './crash-content.ts';

const DOCUMENTS = 5;
const directory = process.argv[2]!;
mkdirSync(directory);
mkdirSync(join(directory, 'moved'));
const path = (name: string): string => join(directory, name);
const say = (line: string): void => void writeSync(1, `${line}\n`);

function write(name: string, i: number, sync: boolean, before: () => void = () => {}): void {
  const fd = openSync(path(name), 'w');
  const bytes = contentOf(i);
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, Math.min(100_000, bytes.length - at));
  before();
  if (sync) fsyncSync(fd);
  closeSync(fd);
}

function syncNames(name: string): void {
  const fd = openSync(path(name), 'r');
  fsyncSync(fd);
  closeSync(fd);
}

for (let i = 0; ; i++) {
  const file = `file-${i}`;
  switch (i % 6) {
    case 0:
      write(file, i, true);
      say(`file ${i}`);
      break;
    case 1:
      write(file, i, false);
      break;
    case 2: {
      // The habit of editors: write aside, fsync, rename over.
      const document = Math.floor(i / 6) % DOCUMENTS;
      write(`doc-${document}.tmp`, i, true);
      renameSync(path(`doc-${document}.tmp`), path(`doc-${document}`));
      if (i % 4 === 0) break;
      syncNames('.');
      say(`doc ${document} ${i}`);
      break;
    }
    case 3:
      write(file, i, true, () => {
        const set = setXattr(path(file), 'user.vexfs.vector', new Uint8Array(vectorOf(i).buffer));
        if (set !== 0) throw new Error(`setxattr: ${set}`);
      });
      say(`file ${i}`);
      say(`vector ${i}`);
      break;
    case 4:
      write(file, i, true);
      renameSync(path(file), path(`moved/${file}`));
      syncNames('moved');
      say(`moved ${i}`);
      break;
    default:
      // A file of case 0.
      if (i < 12) break;
      say(`going ${i - 11}`);
      unlinkSync(path(`file-${i - 11}`));
      syncNames('.');
      say(`gone ${i - 11}`);
  }
}
