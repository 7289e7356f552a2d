/** JSON in one line that carries a digest of itself, so that a damaged one never passes for what was written. */
import { createHash } from 'node:crypto';

const SEALED = /^(.*),"sha256":"([0-9a-f]{16})"\}\n$/s;
const DIGEST_DIGITS = 16;

/** `object`, which has members, as a line; `sha256` is its last member: the beginning of the digest of what stands before it. */
export function seal(object: object): string {
  const body = JSON.stringify(object).slice(0, -1);
  return `${body},"sha256":"${digestOf(body)}"}\n`;
}

/** What was sealed; undefined if `text` is not as {@link seal} has made it. */
export function unseal(text: string): object | undefined {
  const [, body, digest] = SEALED.exec(text) ?? [];
  return body !== undefined && digestOf(body) === digest ? JSON.parse(`${body}}`) : undefined;
}

function digestOf(body: string): string {
  return createHash('sha256').update(body).digest('hex').slice(0, DIGEST_DIGITS);
}
