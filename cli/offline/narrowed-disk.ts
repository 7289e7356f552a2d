/** Disks that let the readers of recovery, unchanged, read just what is meant, and that tell where they were. */
import type { Disk } from '../../runtime/storage/disk.ts';

/** One of which a directory shows only some of its names. */
export function narrowed(disk: Disk, directory: string, names: readonly string[]): Disk {
  const shown = new Set(names);
  return new Proxy(disk, {
    get(target, property) {
      if (property === 'list') {
        return (path: string): string[] | number => {
          const listed = target.list(path);
          return path !== directory || typeof listed === 'number'
            ? listed
            : listed.filter((name) => shown.has(name));
        };
      }
      const value: unknown = Reflect.get(target, property);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** One that tells where each read begins. */
export function watched(disk: Disk, onRead: (position: number) => void): Disk {
  return new Proxy(disk, {
    get(target, property) {
      if (property === 'pread') {
        return (...call: Parameters<Disk['pread']>): number => {
          onRead(call[4]);
          return target.pread(...call);
        };
      }
      const value: unknown = Reflect.get(target, property);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
