/**
 * What limits this process to a part of the machine: the CPUs it may run on, and the share of their time that its
 * control groups (cgroup v1, v2, or both side by side) grant it.
 */
import { parseCpuList } from './cpu-list.ts';
import { unescapeOctal } from './octal-escapes.ts';

/** The text of a file, or undefined where it is missing or cannot be read. */
export type ReadText = (path: string) => string | undefined;

export interface ProcessLimits {
  /** CPUs the scheduler may use for this process, or undefined if nothing says so. */
  readonly allowed: readonly number[] | undefined;
  /** CPU seconds per second, such as 1.5; undefined without a quota. */
  readonly quota: number | undefined;
}

/** A hierarchy of control groups, as mounted. */
interface Hierarchy {
  readonly isV2: boolean;
  /** For v1: "cpu", "cpuset", … */
  readonly controllers: readonly string[];
  readonly mountPoint: string;
  /** Which group of the hierarchy the mount point shows. */
  readonly root: string;
}

export function readLimits(read: ReadText): ProcessLimits {
  const hierarchies = readHierarchies(read('/proc/self/mountinfo') ?? '');
  const memberships = (read('/proc/self/cgroup') ?? '').split('\n');
  const groups = hierarchies.flatMap((hierarchy) => {
    const path = groupOf(memberships, hierarchy);
    return path === undefined ? [] : [{ hierarchy, directories: upwards(hierarchy, path) }];
  });
  let allowed = allowedByStatus(read('/proc/self/status') ?? '');
  let quota: number | undefined;
  for (const { hierarchy, directories } of groups) {
    allowed = intersection(allowed, cpusetOf(read, hierarchy, directories));
    for (const directory of directories) quota = smaller(quota, quotaOf(read, hierarchy, directory));
  }
  return { allowed, quota };
}

function allowedByStatus(status: string): readonly number[] | undefined {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1];
  return list === undefined ? undefined : parseCpuList(list);
}

/** Lines of /proc/self/mountinfo: "30 24 0:26 ROOT MOUNTPOINT options … - cgroup2 SOURCE superoptions". */
function readHierarchies(mountinfo: string): Hierarchy[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, mountPoint] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    if (root === undefined || mountPoint === undefined) return [];
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    const place = { mountPoint: unescapeOctal(mountPoint), root: unescapeOctal(root) };
    return [{ isV2: type === 'cgroup2', controllers: options.split(','), ...place }];
  });
}

/** Lines of /proc/self/cgroup: "0::/a/b" for v2, "4:cpu,cpuacct:/a/b" for v1. */
function groupOf(memberships: readonly string[], { isV2, controllers }: Hierarchy): string | undefined {
  for (const line of memberships) {
    const [id, list = '', ...path] = line.split(':');
    if (path.length === 0) continue;
    const isMember = isV2
      ? id === '0' && list === ''
      : list.split(',').some((name) => name !== '' && controllers.includes(name));
    if (isMember) return path.join(':');
  }
  return undefined;
}

/** The directories of a group and of those above it, as far as they can be seen. */
function upwards({ mountPoint, root }: Hierarchy, group: string): string[] {
  const isInside = root === '/' || group === root || group.startsWith(`${root}/`);
  // A container sees its own group at the mount point, whatever the group is called outside.
  const inside = isInside ? group.slice(root === '/' ? 0 : root.length) : '/';
  const names = inside.split('/').filter((name) => name !== '' && name !== '..');
  return Array.from({ length: names.length + 1 }, (_, up) =>
    [mountPoint, ...names.slice(0, names.length - up)].join('/'),
  );
}

/** The nearest group that says on which CPUs its processes run. */
function cpusetOf(
  read: ReadText,
  hierarchy: Hierarchy,
  directories: readonly string[],
): readonly number[] | undefined {
  const isConcerned = hierarchy.isV2 || hierarchy.controllers.includes('cpuset');
  if (!isConcerned) return undefined;
  const names = hierarchy.isV2 ? ['cpuset.cpus.effective'] : ['cpuset.effective_cpus', 'cpuset.cpus'];
  for (const directory of directories) {
    for (const name of names) {
      const cpus = parseCpuList(read(`${directory}/${name}`) ?? '');
      if (cpus !== undefined && cpus.length > 0) return cpus;
    }
  }
  return undefined;
}

function quotaOf(read: ReadText, hierarchy: Hierarchy, directory: string): number | undefined {
  if (hierarchy.isV2) {
    const [quota, period] = (read(`${directory}/cpu.max`) ?? '').trim().split(' ').map(Number);
    return share(quota, period);
  }
  if (!hierarchy.controllers.includes('cpu')) return undefined;
  const number = (name: string): number => Number(read(`${directory}/${name}`) ?? Number.NaN);
  return share(number('cpu.cfs_quota_us'), number('cpu.cfs_period_us'));
}

/** "max" reads as NaN and −1 is v1's word for no quota. */
function share(quota = Number.NaN, period = Number.NaN): number | undefined {
  return quota > 0 && period > 0 ? quota / period : undefined;
}

function smaller(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : Math.min(a, b ?? a);
}

function intersection(
  a: readonly number[] | undefined,
  b: readonly number[] | undefined,
): readonly number[] | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const both = a.filter((cpu) => b.includes(cpu));
  // Limits that exclude each other cannot be: the process runs. The status is the kernel's last word.
  return both.length > 0 ? both : a;
}
