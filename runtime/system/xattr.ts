/** Extended attributes (setxattr(2) and its kin), which Node does not offer. Calls answer ≥ 0 or −errno. */
import koffi from 'koffi';

const libc = koffi.load(null);
const setxattrCall = libc.func(
  'int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)',
);
const getxattrCall = libc.func('long getxattr(const char *path, const char *name, void *value, size_t size)');
const removexattrCall = libc.func('int removexattr(const char *path, const char *name)');

/** Creates or replaces `name` on `path`. 0 or −errno. */
export function setXattr(path: string, name: string, value: Uint8Array): number {
  const result: number = setxattrCall(path, name, value, value.length, 0);
  return result < 0 ? -koffi.errno() : 0;
}

/** Copies the value to the start of `into` and answers its length, or −errno (−ERANGE: `into` is too small). */
export function getXattr(path: string, name: string, into: Uint8Array): number {
  const result = Number(getxattrCall(path, name, into, into.length));
  return result < 0 ? -koffi.errno() : result;
}

/** 0 or −errno (−ENODATA: `path` has no such attribute). */
export function removeXattr(path: string, name: string): number {
  const result: number = removexattrCall(path, name);
  return result < 0 ? -koffi.errno() : 0;
}
