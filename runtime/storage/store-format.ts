/**
 * The file `format`: which store this is, and how what lies in it is to be read. JSON in one line (sealed-json.ts):
 *
 *   {"format":4,"uuid":"…","created":"…","sha256":"…"}
 *
 * | format | what is new |
 * | --- | --- |
 * | 1 | |
 * | 2 | the checksum; checkpoints and segments may be of any format that their own headers name |
 * | 3 | records of the log may hold bytes of objects; objects may be compressed; files without a name, flags of chattr and access control lists |
 * | 4 | objects may have checksums, which are to be given up before their bytes change |
 *
 * A number is raised when programs that know only the one before would take the store for damaged, or damage it.
 */
import { randomUUID } from 'node:crypto';
import { seal, unseal } from './sealed-json.ts';

export const STORE_FORMAT = 4;
export const FORMAT_FILE = 'format';

export interface StoreIdentity {
  readonly uuid: string;
  /** The same as 16 bytes. */
  readonly bytes: Uint8Array;
  /** ISO 8601. */
  readonly created: string;
}

export interface StoreFormat {
  readonly format: number;
  readonly identity: StoreIdentity;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const NOWHERE: StoreIdentity = { uuid: '', bytes: new Uint8Array(0), created: '' };

export function newIdentity(): StoreIdentity {
  return identityOf(randomUUID(), new Date().toISOString());
}

export function identityOf(uuid: string, created: string): StoreIdentity {
  return { uuid, bytes: Uint8Array.from(Buffer.from(uuid.replaceAll('-', ''), 'hex')), created };
}

export function encodeFormat({ uuid, created }: StoreIdentity): string {
  return seal({ format: STORE_FORMAT, uuid, created });
}

/** Undefined when it is damaged. Of a format that is newer than {@link STORE_FORMAT} nothing but the number is known. */
export function decodeFormat(text: string): StoreFormat | undefined {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { format, uuid, created, sha256 } = (content ?? {}) as Record<string, unknown>;
  if (typeof format !== 'number' || !Number.isInteger(format) || format < 1) return undefined;
  if (format > STORE_FORMAT) return { format, identity: NOWHERE };
  // A damaged number may say 1, of which there was no digest.
  if ((format > 1 || sha256 !== undefined) && unseal(text) === undefined) return undefined;
  if (typeof uuid !== 'string' || !UUID.test(uuid) || typeof created !== 'string') return undefined;
  return { format, identity: identityOf(uuid, created) };
}
