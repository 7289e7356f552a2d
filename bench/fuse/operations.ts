/** What is compared, in the order of the table, and what VexFS must reach. Shared by the load and the report. */
export type Targets = Readonly<Record<string, number>>;

export interface Operation {
  readonly name: string;
  readonly unit: 'ops/s' | 'MB/s';
  /** One line for the reader of the table: what one operation is, and what the kernel may answer by itself. */
  readonly what: string;
  /** Least ratio VexFS / peer with one client, by peer; a peer without an entry is shown and not judged. */
  readonly targets: Targets;
  /** The same with {@link MANY} clients. */
  readonly targetsOfMany?: Targets;
  /** Whose ratios to the others are shown and judged; VexFS with its defaults unless given. */
  readonly subject?: string;
}

const FAR_AHEAD = { passthrough_ll: 3, bindfs: 5, 'fuse-native': 4 };
const AHEAD_OF_MANY = { passthrough_ll: 3, bindfs: 3 };
const MANY = 8;
/** Whichever way in is the better one, VexFS is to have chosen it, but for noise. */
const BETTER_CHANNEL = { 'vexfs-classic': 0.95, 'vexfs-uring': 0.95 };
const AHEAD = { passthrough_ll: 2, bindfs: 3, 'fuse-native': 4 };
const LEVEL = { bindfs: 1 };
/** The kernel does the work: what is left to lose is noise. */
const PASSED = { targets: { host: 0.9 }, unit: 'MB/s', subject: 'vexfs-passthrough' } as const;

function operation(
  name: string,
  targets: Targets,
  what: string,
  unit: Operation['unit'] = 'ops/s',
): Operation {
  return { name, unit, what, targets };
}

/** Requests are nearly all that it costs, so VexFS is to be far ahead. */
function ofRequests(name: string, what: string, more: Targets = {}): Operation {
  return { name, unit: 'ops/s', what, targets: { ...FAR_AHEAD, ...more }, targetsOfMany: AHEAD_OF_MANY };
}

/** What is judged with so many clients. */
export function targetsOf({ targets, targetsOfMany, subject }: Operation, clients: number): Targets {
  const channels = subject === undefined ? BETTER_CHANNEL : {};
  if (clients === 1) return { ...channels, ...targets };
  return clients === MANY ? { ...channels, ...targetsOfMany } : channels;
}

export const OPERATIONS: readonly Operation[] = [
  ofRequests('lookup-missing', 'stat of a name that does not exist, a new name each time'),
  ofRequests('stat', 'stat of each of 1,000 known files, passes more than a second apart'),
  operation(
    'stat-hot',
    {},
    'stat of 1,000 files round and round: within a second, most kernels answer alone',
  ),
  operation('stat-cold', {}, 'first stat of 1,000 files: dentries and inodes dropped before (root only)'),
  operation('open-close', LEVEL, 'open and close one of 100 files'),
  ofRequests('create', 'create a file, write 1 KiB, close it', { host: 1 }),
  operation('read-small', AHEAD, 'open, read 4 KiB, close; 500 files round and round'),
  operation('read-small-cold', {}, 'the same with the cached pages of the mount dropped before each pass'),
  operation('append', AHEAD, 'open one of 100 files with O_APPEND, write 100 B, close'),
  operation('readdir', LEVEL, 'list a directory of 1,000 files'),
  ofRequests('rename', 'rename a file to a name that does not exist, within its directory'),
  operation('chmod', AHEAD, 'change the mode of one of 500 files'),
  ofRequests('unlink', 'remove a file made just before'),
  operation('write-seq', LEVEL, 'create a file of 256 MiB, written 1 MiB at a time', 'MB/s'),
  operation(
    'read-seq',
    LEVEL,
    'read it 1 MiB at a time, the cached pages of the mount dropped before',
    'MB/s',
  ),
  { name: 'write-large', what: 'overwrite a file of 256 MiB, 1 MiB at a time', ...PASSED },
  { name: 'read-large', what: 'read it again, 1 MiB at a time, from the page cache', ...PASSED },
];
