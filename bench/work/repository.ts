/**
 * A repository as large as a real one, the same on every machine: 5,400 files in 400 directories, a history of twelve commits,
 * sizes as source trees have them (median 2 KB, a few of hundreds). Made by git fast-import into a bare repository.
 */
import { spawnSync } from 'node:child_process';

const FILES = 5_400;
const DIRECTORIES = 400;
const COMMITS = 12;
const MEDIAN_BYTES = 2_000;
const WORDS =
  'const return function import export from if else for while value index name file path of the a to is in and not null number string buffer offset length error result state'.split(
    ' ',
  );

/** Seeded, uniform in [0, 1): xorshift32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

function text(bytes: number, next: () => number): string {
  let made = '';
  while (made.length < bytes) {
    const words = Array.from(
      { length: 4 + Math.floor(next() * 10) },
      () => WORDS[Math.floor(next() * WORDS.length)],
    );
    made += `${words.join(' ')} ${Math.floor(next() * 1e6)}\n`;
  }
  return made;
}

/** Log-normal, at most 400 KB. */
function size(next: () => number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  return Math.min(400_000, Math.ceil(MEDIAN_BYTES * Math.exp(1.2 * normal)));
}

function directories(next: () => number): string[] {
  const made = ['src'];
  while (made.length < DIRECTORIES) {
    const parent = made[Math.floor(next() * made.length)]!;
    if (parent.split('/').length < 7) made.push(`${parent}/part${made.length}`);
  }
  return made;
}

/** What fast-import reads: every file once, in the commit that falls to it; some of them again with the next. */
function history(): Buffer {
  const next = random(20_261_123);
  const places = directories(next);
  const names = Array.from({ length: FILES }, (_, n) => `${places[n % places.length]}/file${n}.ts`);
  const parts: string[] = [];
  for (let commit = 0; commit < COMMITS; commit++) {
    const time = 1_700_000_000 + commit * 86_400;
    parts.push(`commit refs/heads/main\ncommitter Bench <bench@localhost> ${time} +0000\ndata 5\nstep\n\n`);
    names.forEach((name, n) => {
      if (n % COMMITS !== commit && (n + 1) % COMMITS !== commit) return;
      const content = text(size(next), next);
      parts.push(`M 100644 inline ${name}\ndata ${content.length}\n${content}\n`);
    });
    parts.push('\n');
  }
  parts.push('done\n');
  return Buffer.from(parts.join(''), 'latin1');
}

function git(args: readonly string[], input?: Buffer): string {
  const done = spawnSync('git', args, { encoding: 'utf8', maxBuffer: 1 << 28, ...(input && { input }) });
  if (done.error) throw new Error('no git: apt-get install git');
  if (done.status !== 0) throw new Error(`git ${args.join(' ')}: ${done.stderr}`);
  return done.stdout;
}

/** Makes the bare repository at `directory` and an archive of its newest tree at `archive`; how many files that has. */
export function makeRepository(directory: string, archive: string): number {
  git(['init', '-q', '--bare', '-b', 'main', directory]);
  git(['-C', directory, 'fast-import', '--quiet', '--done'], history());
  git(['-C', directory, 'archive', '--prefix=tree/', '-o', archive, 'main']);
  return git(['-C', directory, 'ls-tree', '-r', '--name-only', 'main']).trimEnd().split('\n').length;
}
