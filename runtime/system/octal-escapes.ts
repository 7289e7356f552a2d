/**
 * A field of /proc/self/mountinfo as text, read as latin1: the kernel writes space, tab, newline and backslash as \ooo; the
 * rest is the path's own bytes, UTF-8 as a rule.
 */
export function unescapeOctal(field: string): string {
  const bytes = field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
