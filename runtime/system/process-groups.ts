/**
 * Supplementary groups, by the text of a caller's /proc/PID/status (proc(5)): none when the process is not of the user `uid`
 * (fsuid). Then the caller is gone and its number was given anew, or it has become a set-id program since it asked.
 */
export function supplementaryGroups(status: string, uid: number): number[] {
  if (Number(/^Uid:(?:\s+\d+){3}\s+(\d+)$/m.exec(status)?.[1]) !== uid) return [];
  const groups = /^Groups:[ \t]*(.*)$/m.exec(status)?.[1] ?? '';
  return groups
    .split(' ')
    .filter((group) => group !== '')
    .map(Number);
}
