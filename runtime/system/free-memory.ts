/**
 * Memory that this process can still have, in bytes: what the machine can give, and what the control groups it is in let
 * it take (cgroup v2, Documentation/admin-guide/cgroup-v2.rst). Pages of files count as free, as the kernel gives them up.
 */
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { dirname, join } from 'node:path';

const ROOT = '/sys/fs/cgroup';

/** `root` is where the control groups are, `own` what /proc/self/cgroup says. */
export function freeMemory(root = ROOT, own = textOf('/proc/self/cgroup'), machine = freemem()): number {
  const path = /^0::(\/.*)$/m.exec(own)?.[1];
  let free = machine;
  for (let group = path; group !== undefined; group = group === '/' ? undefined : dirname(group)) {
    free = Math.min(free, freeIn(join(root, group)));
  }
  return Math.max(0, free);
}

function freeIn(group: string): number {
  const limit = Number.parseInt(textOf(join(group, 'memory.max')), 10);
  const used = Number.parseInt(textOf(join(group, 'memory.current')), 10);
  // "max", or no such file: at the root there is none.
  if (Number.isNaN(limit) || Number.isNaN(used)) return Number.POSITIVE_INFINITY;
  const stat = textOf(join(group, 'memory.stat'));
  const files = ['inactive_file', 'active_file'].reduce((sum, name) => sum + numberOf(stat, name), 0);
  return limit - used + files;
}

function numberOf(stat: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
