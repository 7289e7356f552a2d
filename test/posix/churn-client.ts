/**
 * A process that changes a tree at random until its time is over, as fsstress does: every kind of file, links, renames of
 * all sorts, attributes, bytes. What is refused is no matter; what may not happen is that a call hangs or another fails.
 */
import { join } from 'node:path';
import { EIO } from '../../runtime/errno.ts';
import { randomFrom } from '../seed.ts';
import * as c from './calls.ts';
import { O_CREAT, O_RDWR, TYPES, tryMake } from './place.ts';

const [root, seed, milliseconds] = process.argv.slice(2) as [string, string, string];
const next = randomFrom(Number(seed));
const below = (n: number): number => Math.floor(next() * n);
const DEEP = 3;
const NAMES = 6;

/** Any path of the tree, whether there is anything or not. */
function somewhere(): string {
  const parts = Array.from({ length: 1 + below(DEEP) }, () => `n${below(NAMES)}`);
  return join(root, ...parts);
}

function withFile(path: string, use: (fd: number) => number): number {
  const fd = c.open(path, O_CREAT | O_RDWR, 0o644);
  if (fd < 0) return fd;
  const result = use(fd);
  c.close(fd);
  return result;
}

const bytes = new Uint8Array(200_000).map((_, i) => i * 31);
const steps: readonly (() => number)[] = [
  () => tryMake(TYPES[below(TYPES.length)]!, somewhere()),
  () => c.mkdir(somewhere(), 0o755),
  () => c.unlink(somewhere()),
  () => c.rmdir(somewhere()),
  () => c.rename(somewhere(), somewhere()),
  () => c.renameWith(somewhere(), somewhere(), below(2) === 0 ? c.RENAME_EXCHANGE : c.RENAME_NOREPLACE),
  () => c.link(somewhere(), somewhere()),
  () => c.symlink(somewhere(), somewhere()),
  () => c.chmod(somewhere(), below(0o1000)),
  () => c.lchown(somewhere(), below(5), below(5)),
  () => c.utimens(somewhere(), [[below(2 ** 31), below(1e9)], c.NOW], false),
  () => c.truncate(somewhere(), below(300_000)),
  () => c.setxattr(somewhere(), `user.n${below(3)}`, bytes, below(3000), 0),
  () => c.removexattr(somewhere(), `user.n${below(3)}`),
  () => withFile(somewhere(), (fd) => c.pwrite(fd, bytes, 1 + below(bytes.length), below(300_000))),
  () => withFile(somewhere(), (fd) => c.pread(fd, new Uint8Array(9000), 9000, below(300_000))),
  () =>
    withFile(somewhere(), (fd) =>
      c.fallocate(fd, [0, 1, 3, 16][below(4)]!, below(200_000), 1 + below(90_000)),
    ),
  () => (below(20) === 0 ? withFile(somewhere(), (fd) => c.fsync(fd)) : 0),
];

let calls = 0;
for (const end = performance.now() + Number(milliseconds); performance.now() < end; calls++) {
  const step = below(steps.length);
  if (steps[step]!() === -EIO) {
    process.stderr.write(`step ${step}, call ${calls}: EIO\n`);
    process.exit(1);
  }
}
process.stdout.write(`${calls}\n`);
