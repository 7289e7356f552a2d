/** A mixed load of names and data on the directory in argv[2], until argv[3] (ms since the epoch): says what went wrong. */
import fs from 'node:fs';
import { join } from 'node:path';
import { randomFrom } from '../seed.ts';

const [directory, end, seed] = [process.argv[2]!, Number(process.argv[3]), Number(process.argv[4])];
const random = randomFrom(seed);
const below = (n: number): number => Math.floor(random() * n);
const home = join(directory, `load-${seed}`);
/** What should be there. */
const files = new Map<string, Buffer>();
const problems: string[] = [];
let count = 0;
let next = 0;

function expectSame(what: string, got: unknown, wanted: unknown): void {
  if (got !== wanted) problems.push(`${what}: ${String(got)} instead of ${String(wanted)}`);
}

function anyName(): string | undefined {
  const names = [...files.keys()];
  return names[below(names.length)];
}

function create(): void {
  const name = `f${next++}`;
  const bytes = Buffer.alloc(below(4) === 0 ? 20_000 + below(60_000) : below(300), next & 0xff);
  fs.writeFileSync(join(home, name), bytes, { flag: 'wx' });
  files.set(name, bytes);
}

function overwrite(name: string): void {
  const piece = Buffer.alloc(1 + below(5000), below(256));
  const at = below(files.get(name)!.length + 1);
  const fd = fs.openSync(join(home, name), 'r+');
  fs.writeSync(fd, piece, 0, piece.length, at);
  if (below(4) === 0) fs.fsyncSync(fd);
  fs.closeSync(fd);
  const old = files.get(name)!;
  const bytes = Buffer.alloc(Math.max(old.length, at + piece.length));
  old.copy(bytes);
  piece.copy(bytes, at);
  files.set(name, bytes);
}

function rename(name: string): void {
  const over = below(3) === 0 ? anyName()! : `r${next++}`;
  fs.renameSync(join(home, name), join(home, over));
  const bytes = files.get(name)!;
  files.delete(name);
  files.set(over, bytes);
}

function remove(name: string): void {
  fs.unlinkSync(join(home, name));
  files.delete(name);
}

function check(name: string): void {
  const bytes = fs.readFileSync(join(home, name));
  if (!bytes.equals(files.get(name)!)) problems.push(`${name}: other bytes`);
}

function others(): void {
  const directory = join(home, `d${next++}`);
  fs.mkdirSync(directory);
  fs.symlinkSync('nowhere', join(directory, 'link'));
  expectSame('readlink', fs.readlinkSync(join(directory, 'link')), 'nowhere');
  fs.unlinkSync(join(directory, 'link'));
  fs.rmdirSync(directory);
  expectSame('a directory that was removed', fs.existsSync(directory), false);
}

function one(): void {
  const name = anyName();
  const dice = below(10);
  if (name === undefined || (dice < 2 && files.size < 60)) create();
  else if (dice < 5) overwrite(name);
  else if (dice === 5) rename(name);
  else if (dice === 6) remove(name);
  else if (dice < 9) check(name);
  else others();
}

fs.mkdirSync(home);
while (Date.now() < end && problems.length < 5) {
  try {
    one();
    count++;
  } catch (error) {
    problems.push(`after ${count}: ${(error as Error).message}`);
  }
}
if (problems.length === 0) {
  expectSame('the names', fs.readdirSync(home).sort().join(), [...files.keys()].sort().join());
  for (const name of files.keys()) check(name);
}
console.log(JSON.stringify({ count, problems }));
