/** Why a system call on a file failed, as a sentence. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be used by this user',
  EPERM: 'may not be used so',
  EISDIR: 'is a directory',
  ENOTDIR: 'leads through something that is not a directory',
  ENOTEMPTY: 'is not empty',
  ELOOP: 'leads through too many symbolic links',
  ENAMETOOLONG: 'is too long a name',
  EROFS: 'is on a disk that is read-only',
  ENOSPC: 'cannot be written: the disk is full',
  EDQUOT: 'cannot be written: the quota is used up',
  EIO: 'cannot be read or written: the disk fails',
  ENOTCONN: 'is on a mount whose process has ended',
};

/** Native code that was not built, or for another machine. */
const NOT_LOADED = new Set(['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND', 'ERR_DLOPEN_FAILED']);

/** What `error` says of a file, or of the installation; undefined = it is no failed system call, but a bug. */
export function describeSystemError(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, syscall, path } = error as NodeJS.ErrnoException;
  if (code !== undefined && NOT_LOADED.has(code))
    return `a part of VexFS cannot be loaded: ${error.message.split('\n')[0]}; "vexfs doctor" says what to do`;
  if (code === undefined || syscall === undefined) return undefined;
  if (path === undefined) return REASONS[code] === undefined ? undefined : `a file ${REASONS[code]}`;
  return describeFileError(path, error);
}

/** "notes.npy does not exist": `name` is what the user called the file. */
export function describeFileError(name: string, error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  return `${name} ${REASONS[code] ?? `cannot be used (${code})`}`;
}
