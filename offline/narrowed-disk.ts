/** A disk of which one directory shows only some of its names: so the readers of recovery read just what is meant. */
import type { Disk } from '../runtime/storage/disk.ts';

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
