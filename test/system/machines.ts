/**
 * Machines as /sys and /proc show them, as text: each line of a recording is a path, a space and the content of the
 * file, in which "\n" and "\t" stand for a line break and a tab.
 */
import type { ReadText } from '../../runtime/system/topology-limits.ts';

export function recording(...parts: readonly string[]): ReadText {
  const files = new Map<string, string>();
  for (const line of parts.join('\n').split('\n')) {
    const space = line.indexOf(' ');
    if (space > 0)
      files.set(
        line.slice(0, space),
        `${line
          .slice(space + 1)
          .replaceAll('\\n', '\n')
          .replaceAll('\\t', '\t')}\n`,
      );
  }
  return (path) => files.get(path);
}

const NO_LIMITS = `
/proc/self/mountinfo 25 30 0:23 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw\\n31 25 0:27 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
/proc/self/cgroup 0::/user.slice/user-1000.slice/app.slice`;

/** A laptop: 4 cores with two threads each, CPU 4 to 7 being the second ones. */
export const LAPTOP = `
/sys/devices/system/cpu/online 0-7
/sys/devices/system/cpu/present 0-7
/sys/devices/system/cpu/cpu0/topology/thread_siblings_list 0,4
/sys/devices/system/cpu/cpu1/topology/thread_siblings_list 1,5
/sys/devices/system/cpu/cpu2/topology/thread_siblings_list 2,6
/sys/devices/system/cpu/cpu3/topology/thread_siblings_list 3,7
/sys/devices/system/cpu/cpu4/topology/thread_siblings_list 0,4
/sys/devices/system/cpu/cpu5/topology/thread_siblings_list 1,5
/sys/devices/system/cpu/cpu6/topology/thread_siblings_list 2,6
/sys/devices/system/cpu/cpu7/topology/thread_siblings_list 3,7
/sys/devices/system/node/online 0
/sys/devices/system/node/node0/cpulist 0-7
/sys/devices/system/node/node0/distance 10
/proc/self/status Name:\\tnode\\nCpus_allowed:\\tff\\nCpus_allowed_list:\\t0-7${NO_LIMITS}`;

/** A server with two sockets of 4 cores, no second threads; CPU 3 and CPU 6 are switched off. */
export const TWO_SOCKETS = `
/sys/devices/system/cpu/online 0-2,4-5,7
/sys/devices/system/cpu/present 0-7
/sys/devices/system/cpu/cpu0/topology/core_cpus_list 0
/sys/devices/system/cpu/cpu1/topology/core_cpus_list 1
/sys/devices/system/cpu/cpu2/topology/core_cpus_list 2
/sys/devices/system/cpu/cpu4/topology/core_cpus_list 4
/sys/devices/system/cpu/cpu5/topology/core_cpus_list 5
/sys/devices/system/cpu/cpu7/topology/core_cpus_list 7
/sys/devices/system/node/online 0-1
/sys/devices/system/node/node0/cpulist 0-2
/sys/devices/system/node/node0/distance 10 21
/sys/devices/system/node/node1/cpulist 4-5,7
/sys/devices/system/node/node1/distance 21 10
/proc/self/status Name:\\tnode\\nCpus_allowed:\\tb7\\nCpus_allowed_list:\\t0-2,4-5,7${NO_LIMITS}`;

/** Two sockets with four nodes each; the nodes of a socket are near each other. Node n has CPUs 2n and 2n + 1. */
export const EIGHT_NODES = `
/sys/devices/system/cpu/online 0-15
/sys/devices/system/cpu/present 0-15
/sys/devices/system/node/online 0-7
${Array.from({ length: 8 }, (_, node) => {
  const distances = Array.from({ length: 8 }, (_, other) =>
    other === node ? 10 : other >> 2 === node >> 2 ? 12 : 32,
  );
  return `/sys/devices/system/node/node${node}/cpulist ${2 * node}-${2 * node + 1}
/sys/devices/system/node/node${node}/distance ${distances.join(' ')}`;
}).join('\n')}
${Array.from({ length: 16 }, (_, cpu) => `/sys/devices/system/cpu/cpu${cpu}/topology/core_cpus_list ${cpu}`).join('\n')}
/proc/self/status Name:\\tnode\\nCpus_allowed_list:\\t0-15${NO_LIMITS}`;

/** Four cores, and a node 1 that has nothing but memory (an expander). */
export const MEMORY_NODE = `
/sys/devices/system/cpu/online 0-3
/sys/devices/system/cpu/present 0-3
/sys/devices/system/node/online 0-1
/sys/devices/system/node/node0/cpulist 0-3
/sys/devices/system/node/node0/distance 10 17
/sys/devices/system/node/node1/cpulist${' '}
/sys/devices/system/node/node1/distance 17 10
/proc/self/status Name:\\tnode\\nCpus_allowed_list:\\t0-3${NO_LIMITS}`;

/** A container with cgroup v2 and a quota on one of the groups above it, seen through a namespace of its own. */
export const QUOTA_V2 = `${LAPTOP}
/proc/self/mountinfo 31 25 0:27 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw
/proc/self/cgroup 0::/pod/vexfs
/sys/fs/cgroup/pod/vexfs/cpu.max max 100000
/sys/fs/cgroup/pod/cpu.max 150000 100000`;

/** A container with cgroup v1: a quota, and one core of its own. Outside its group has another name. */
export const ONE_CORE_V1 = `${LAPTOP}
/proc/self/status Name:\\tnode\\nCpus_allowed_list:\\t5
/proc/self/mountinfo 33 32 0:28 /docker/4f0e /sys/fs/cgroup/cpu,cpuacct ro,nosuid - cgroup cgroup rw,cpu,cpuacct\\n34 32 0:29 /docker/4f0e /sys/fs/cgroup/cpuset ro,nosuid - cgroup cgroup rw,cpuset
/proc/self/cgroup 9:cpuset:/docker/4f0e\\n4:cpu,cpuacct:/docker/4f0e\\n1:name=systemd:/docker/4f0e
/sys/fs/cgroup/cpuset/cpuset.cpus 5
/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us 80000
/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us 100000`;

/** A sandbox that shows neither /sys nor control groups. */
export const BARE = `
/proc/self/status Name:\\tnode\\nCpus_allowed_list:\\t0-3,6`;
