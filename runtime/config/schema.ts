/**
 * The configuration of a mount: every key with its type, range, default and explanation. The default file,
 * the JSON Schema and the error messages are all made from this one declaration.
 * Names are those of the file (`store.inline_limit`). Sizes are in bytes once parsed.
 *
 * A key marked `live` applies as soon as the configuration is read again: its value is read where it is used, through
 * the view of live.ts. Everything else applies at the next mount. A section's `shorthand` is the key that is meant
 * when the section is written as a plain value: `placement = "auto"`.
 */
import { z } from 'zod';
import { LOG_LEVELS } from '../log.ts';
import { parseCpuList } from '../system/cpu-list.ts';
import {
  CHECKPOINT_BYTES_MIN,
  COMPRESSED_FRAME_BYTES,
  COMPRESSED_SIZE_MAX,
  COMPRESSED_SIZE_MIN,
  FILES_MAX,
  GIB,
  INLINE_LIMIT_MAX,
  MIB,
  REGION_MAX,
  RESULT_NODES_MAX,
  SEARCH_K_MAX,
  TRANSACTION_MAX,
  WORKERS_MAX,
} from './bounds.ts';
import { contradictions } from './contradictions.ts';
import { formatSize, parseSize, SIZE_PATTERN } from './size.ts';

const YEAR_SECONDS = 31_536_000;

function count(initial: number, minimum: number, maximum: number, description: string) {
  return z.int().min(minimum).max(maximum).default(initial).describe(description);
}

function flag(initial: boolean, description: string) {
  return z.boolean().default(initial).describe(description);
}

function choice<const T extends readonly [string, ...string[]]>(
  initial: T[number],
  values: T,
  description: string,
) {
  return z.enum(values).default(initial).describe(description);
}

/** A size in bytes, written as "16KiB" or as a plain number; `size` in the JSON Schema holds its range. */
function size(initial: string, minimum: number, maximum: number, description: string) {
  return z
    .union([z.int().min(0), z.string().regex(SIZE_PATTERN)])
    .transform((value, context) => {
      const bytes = parseSize(value);
      if (bytes !== undefined && bytes >= minimum && bytes <= maximum) return bytes;
      context.addIssue(`expected a size from ${formatSize(minimum)} to ${formatSize(maximum)}`);
      return z.NEVER;
    })
    .meta({ description, size: { minimum, maximum } })
    .prefault(initial);
}

/** CPUs as 3 or "2-5,8"; an array in order once parsed. */
const cpus = z.union([z.int().min(0), z.string()]).transform((value, context) => {
  const list = parseCpuList(String(value));
  if (list !== undefined && list.length > 0) return list;
  context.addIssue('expected CPUs, such as 3 or "2-5"');
  return z.NEVER;
});

/** Marks a key that applies without a new mount. */
function live<T extends z.ZodType>(key: T): T {
  return key.meta({ live: true });
}

function section<T extends z.ZodRawShape>(description: string, shape: T) {
  return z.strictObject(shape).describe(description);
}

const placement = section('Which thread runs on which CPU.', {
  mode: choice(
    'none',
    ['none', 'auto'],
    '"auto" gives busy threads cores of their own, as "vexfs doctor" shows; "none" lets all move.',
  ),
  pin: z
    .record(z.string().regex(/^[a-z0-9*-]+$/), cpus)
    .prefault({})
    .describe('Threads to keep on CPUs all the same, as in { "fuse-0" = 0, "shard-*" = "2-5" }.'),
}).meta({ shorthand: 'mode' });

const workers = section('Threads. More than the machine has cores rarely helps.', {
  fuse: live(
    count(
      1,
      1,
      WORKERS_MAX,
      'Threads that answer filesystem requests. Over io_uring as many as there are CPUs; else more help from about 4 cores on.',
    ),
  ),
  shards: live(
    count(2, 1, WORKERS_MAX, 'Threads that hold the vectors; each searches its own part of them.'),
  ),
  io: count(1, 1, WORKERS_MAX, 'Threads that make data durable.'),
  tasks: count(1, 1, WORKERS_MAX, 'Threads that cut text into chunks and embed them.'),
  fuse_max: count(
    0,
    0,
    WORKERS_MAX,
    'How far fuse may be raised while mounted. 0 = as many as there are CPUs, 16 at most.',
  ),
  shards_max: count(
    0,
    0,
    WORKERS_MAX,
    'How far shards may be raised while mounted. 0 = as many as there are CPUs, 8 at most.',
  ),
  steal: live(flag(true, 'Let a shard thread with nothing to do answer searches of one that has too many.')),
});

const memory = section('Shared memory. It is reserved at mount and costs nothing until it is used.', {
  budget: size('1GiB', 16 * MIB, REGION_MAX, 'Small files, names, xattrs and vectors being indexed.'),
  max_files: count(1_000_000, 16, FILES_MAX, 'Files and directories the store can hold.'),
  max_results: count(
    4096,
    16,
    RESULT_NODES_MAX,
    'Searches of the mount whose results are kept for a second look, with all else below .vexfs.',
  ),
  trim: flag(true, 'Give memory that files no longer need back to the system.'),
  debug: flag(
    false,
    'Find writes to memory that was freed and writes beyond the end of a block. Slow: for looking for a bug.',
  ),
});

const store = section('How data becomes durable. fsync is immediate whatever is written here.', {
  commit_interval_ms: live(
    count(1000, 1, 60_000, 'Changes nobody called fsync for are durable after this, ms.'),
  ),
  inline_limit: size('16KiB', 0, INLINE_LIMIT_MAX, 'Files up to this size live in memory and in the log.'),
  log_segment: size('64MiB', 2 * TRANSACTION_MAX, GIB, 'Size of one file of the log.'),
  checkpoint_bytes: live(
    size(
      '256MiB',
      CHECKPOINT_BYTES_MIN,
      GIB,
      'A checkpoint is made when the log has grown by this since the last one, or by half of what that one takes.',
    ),
  ),
  checkpoint_interval_s: live(
    count(
      3600,
      0,
      YEAR_SECONDS,
      'Or when so many seconds have passed, if it has grown at all. 0 = only by size.',
    ),
  ),
  compress: live(
    choice(
      'off',
      ['off', 'cold'],
      '"cold" compresses files over store.inline_limit that nobody has used for a while.',
    ),
  ),
  compress_after_s: live(
    count(604_800, 1, YEAR_SECONDS, 'For so many seconds neither changed nor read, a file is cold.'),
  ),
  compress_max: size(
    '1GiB',
    COMPRESSED_SIZE_MIN,
    COMPRESSED_SIZE_MAX,
    'Larger files stay as they are: the first change of a compressed one expands all of it.',
  ),
  compress_cache: size(
    '4MiB',
    COMPRESSED_FRAME_BYTES,
    GIB,
    'Parts of compressed files that each fuse thread keeps expanded.',
  ),
  checksum_after_s: live(
    count(
      600,
      0,
      YEAR_SECONDS,
      'Files over store.inline_limit that were not changed for so many seconds get checksums. 0 = none get any.',
    ),
  ),
  scrub_s: live(
    count(
      604_800,
      0,
      YEAR_SECONDS,
      'Every so many seconds all files with checksums are read and compared with them. 0 = never.',
    ),
  ),
  journal_buffer: size(
    '32MiB',
    2 * TRANSACTION_MAX,
    GIB,
    'Changes waiting to be written to the log. Writers wait when it is full.',
  ),
});

const fuse = section('The connection to the kernel.', {
  channel: choice(
    'auto',
    ['auto', 'uring', 'classic'],
    'How requests come: "uring" over io_uring (Linux 6.14 and newer), "classic" by reading /dev/fuse, "auto" over io_uring if enable_uring allows it and it can be had.',
  ),
  enable_uring: flag(
    false,
    'Let requests come over io_uring. As root: switch the kernel’s parameter for it on, if it is off.',
  ),
  spin_us: live(
    count(
      100,
      0,
      10_000,
      'Microseconds a thread looks for the next request before it sleeps. 0 saves CPU, more saves time.',
    ),
  ),
  keep_awake: flag(
    true,
    'As root: keep idle CPUs from halting while requests keep coming. Answers sooner, for more power in a burst.',
  ),
  read_ahead: size(
    '1MiB',
    0,
    64 * MIB,
    'As root: what the kernel reads ahead of a program that reads in order.',
  ),
  background: count(
    64,
    1,
    65_535,
    'Requests the kernel may send on its own account, to read ahead or write back.',
  ),
  open_files: count(256, 1, 65_536, 'Files over store.inline_limit that each thread keeps open.'),
  passthrough: choice(
    'off',
    ['off', 'auto'],
    '"auto": as root, from Linux 6.9 on, the kernel reads and writes files over store.inline_limit by itself. Each open is then a request.',
  ),
  writeback: flag(false, 'Let the kernel collect writes in its page cache before it passes them on.'),
  atime: choice(
    'relatime',
    ['relatime', 'off'],
    'Whether reading changes access times: "relatime" when they are older than the last change, or than a day.',
  ),
  acl: flag(true, 'POSIX access control lists (setfacl). The kernel enforces them.'),
  entry_timeout_s: live(count(YEAR_SECONDS, 0, YEAR_SECONDS, 'Seconds the kernel may remember names.')),
  attr_timeout_s: live(count(YEAR_SECONDS, 0, YEAR_SECONDS, 'Seconds the kernel may remember attributes.')),
});

const vectors = section('The vector index.', {
  engine: choice(
    'native',
    ['native', 'hnswlib-wasm', 'exact'],
    'Graphs by "native" are shared by all shard threads, "hnswlib-wasm" is the npm package; "exact" compares with every vector.',
  ),
  m: count(16, 2, 128, 'Links of a vector in the graph. More finds better and takes more memory.'),
  ef_construction: count(100, 1, 10_000, 'Candidates looked at when a vector is added. At least m.'),
  ef: live(count(64, 1, 10_000, 'Candidates looked at by a search. More finds better and is slower.')),
  recall: live(
    count(
      0,
      0,
      99,
      'Percent of the nearest that a search is to find: how many candidates that takes is learnt from the vectors there are. 0: not less than ef.',
    ),
  ),
  exact_max: count(
    10_000,
    0,
    1_000_000,
    'A part of a collection in one shard gets a graph when it is larger than this; until then a search compares with every vector.',
  ),
  graph_memory: size(
    '4GiB',
    4 * MIB,
    4 * GIB,
    'Memory of one graph. When it is full, a shard begins another for the collection, up to 16; what has no room in those is searched exactly.',
  ),
  rerank: choice(
    'memory',
    ['memory', 'disk', 'off'],
    'Where the exact vectors of "native" graphs are, which put in order what a walk has found. "off": on disk, and searches do without.',
  ),
  shared: size(
    '256MiB',
    0,
    REGION_MAX,
    'Memory, of all shards together, for vectors that any shard thread can search; what is beyond it, only its own.',
  ),
  collections: z
    .array(
      z
        .string()
        .regex(
          /^[\w-][\w.-]{0,62}:\d{1,4}(:(cosine|l2|dot|int8|float32|m=\d{1,3}|ef_construction=\d{1,5}))*$/,
        ),
    )
    .default([])
    .describe(
      'Collections to make at the mount, each "NAME:DIMENSION", and after it, if wanted, ":l2" or ":dot", ":float32", ":m=24", ":ef_construction=200".',
    ),
});

const index = section('Which files are found by their text.', {
  enabled: flag(true, 'Index text files.'),
  settle_ms: live(
    count(300, 0, 600_000, 'A changed file is indexed after this long without another write, ms.'),
  ),
  max_file_size: live(size('16MiB', 1, 256 * MIB, 'Larger files are not indexed.')),
  max_chunks: live(count(512, 1, 65_535, 'Passages indexed of one file; what follows them is left out.')),
  results: live(count(20, 1, SEARCH_K_MAX, 'Links in the directory of a search, .vexfs/search/WORDS/.')),
  task_timeout_s: count(60, 1, 86_400, 'A file that takes longer to cut and embed is left out, seconds.'),
  exclude: z
    .array(z.string().min(1))
    .default(['.git', 'node_modules/.cache'])
    .describe('Left out: a name anywhere in a path (".git"), or the beginning of a path ("a/b").'),
});

const supervision = section(
  'What happens when a thread dies or hangs: it is started again, without unmounting.',
  {
    heartbeat_ms: count(250, 10, 1000, 'How often the threads are looked at, ms.'),
    hang_ms: live(
      count(10_000, 2000, 600_000, 'A thread that has shown no sign of life for this long hangs, ms.'),
    ),
    restarts: live(
      count(5, 0, 1000, 'Restarts of one thread within window_s; one failure more, and the mount ends.'),
    ),
    window_s: live(count(60, 1, 86_400, 'The time over which restarts are counted, seconds.')),
    request_deadline_s: live(
      count(60, 1, 3600, 'A request that waits longer for another thread is answered with EIO, seconds.'),
    ),
    heap_mib: count(
      0,
      0,
      65_536,
      "Most memory of a thread's own, MiB; one that needs more is started again. 0 = as Node.js has it.",
    ),
  },
);

const log = section('Messages of the running mount (STORE/vexfs.log).', {
  level: live(choice('info', LOG_LEVELS, 'The least important message that is written.')),
});

const keys = z.strictObject({
  placement: placement.prefault({}),
  workers: workers.prefault({}),
  memory: memory.prefault({}),
  store: store.prefault({}),
  fuse: fuse.prefault({}),
  vectors: vectors.prefault({}),
  index: index.prefault({}),
  supervision: supervision.prefault({}),
  log: log.prefault({}),
});

export type Config = z.output<typeof keys>;

export const configSchema = keys.superRefine((config, context) => {
  for (const { path, message } of contradictions(config)) {
    context.addIssue({ code: 'custom', params: { contradiction: true }, path: [...path], message });
  }
});

/**
 * JSON Schema of the keys, with `live`, `shorthand` and `size` as they are declared here. Draft 7: editors of TOML know
 * no later one.
 */
export function declaredJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' });
}
