/**
 * Is it text, and in which encoding? Works on a whole file or on its first bytes, which may end inside a
 * character. Every encoding recognised here keeps a fixed relation between characters and bytes, so that
 * positions in the decoded text can be turned back into byte offsets of the file (see chunk.ts).
 */

import { isUtf8 } from 'node:buffer';

export type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252';

export interface DecodedText {
  readonly text: string;
  readonly encoding: Encoding;
  /** Byte offset of the first character: the length of the byte order mark. */
  readonly start: number;
}

/** Bytes looked at to tell text from binary. */
const SAMPLE_BYTES = 64 * 1024;
/** Share of control characters above which it is not text: valid UTF-8 proves more than "any byte goes". */
const CONTROL_SHARE_UTF8 = 0.1;
const CONTROL_SHARE_SINGLE_BYTE = 0.01;
/** Share of bytes ≥ 0x80 above which single-byte text is implausible. */
const HIGH_SHARE_SINGLE_BYTE = 0.4;
/** Formats that begin like text and go on in binary. */
const BINARY_SIGNATURES = ['%PDF-', '%!PS-Adobe', '{\\rtf'];

/**
 * Text of the bytes, or undefined when they are not text.
 * @param complete false when `bytes` is the beginning of a longer file: a character cut at the end is left out.
 */
export function decodeText(bytes: Uint8Array, complete = true): DecodedText | undefined {
  const own = bytes.buffer instanceof ArrayBuffer ? bytes : Uint8Array.from(bytes);
  if (own[0] === 0xef && own[1] === 0xbb && own[2] === 0xbf) return decodeUtf8(own, 3, complete);
  if (own[0] === 0xff && own[1] === 0xfe) return decodeUtf16(own, 2, 'utf-16le', complete);
  if (own[0] === 0xfe && own[1] === 0xff) return decodeUtf16(own, 2, 'utf-16be', complete);
  if (BINARY_SIGNATURES.some((signature) => startsWith(own, signature))) return undefined;
  const sample = survey(own, SAMPLE_BYTES);
  if (sample.nuls > 0) {
    const encoding = utf16WithoutMark(sample);
    return encoding && decodeUtf16(own, 0, encoding, complete);
  }
  return decodeUtf8(own, 0, complete) ?? decodeSingleByte(own, sample);
}

/** Enough of a file to see that it looks like text, so that the question is left to decodeText. */
const GLANCE_BYTES = 512;

/**
 * Whether decodeText would say that it is not text, told from the beginning of a file without decoding it. False where
 * that cannot be said yet.
 * @param complete false when `bytes` is the beginning of a longer file
 */
export function isBinary(bytes: Uint8Array, complete: boolean): boolean {
  if (hasByteOrderMark(bytes)) return false;
  if (BINARY_SIGNATURES.some((signature) => startsWith(bytes, signature))) return true;
  const glance = survey(bytes, GLANCE_BYTES);
  if (glance.nuls === 0 && isPlausibleSingleByte(glance)) return false;
  const sample = survey(bytes, SAMPLE_BYTES);
  const isAll = complete || bytes.length >= SAMPLE_BYTES;
  if (sample.nuls > 0) {
    const isOnBothSides = sample.evenNuls > 0 && sample.evenNuls < sample.nuls;
    return isOnBothSides || (isAll && utf16WithoutMark(sample) === undefined);
  }
  if (!isAll || isPlausibleSingleByte(sample)) return false;
  return !isUtf8(complete ? bytes : bytes.subarray(0, bytes.length - cutUtf8Bytes(bytes, 0)));
}

function hasByteOrderMark(bytes: Uint8Array): boolean {
  const first = (bytes[0]! << 8) | bytes[1]!;
  return first === 0xfffe || first === 0xfeff || (first === 0xefbb && bytes[2] === 0xbf);
}

interface Survey {
  readonly bytes: number;
  readonly nuls: number;
  /** NULs at even and at odd offsets. */
  readonly evenNuls: number;
  readonly controls: number;
  readonly high: number;
}

function survey(bytes: Uint8Array, most: number): Survey {
  const end = Math.min(bytes.length, most);
  let nuls = 0;
  let evenNuls = 0;
  let controls = 0;
  let high = 0;
  for (let i = 0; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === 0) {
      nuls++;
      if ((i & 1) === 0) evenNuls++;
    } else if (isControl(byte)) controls++;
    else if (byte >= 0x80) high++;
  }
  return { bytes: end, nuls, evenNuls, controls, high };
}

/** C0 controls and DEL, except those that text uses: BEL to CR (\a \b \t \n \v \f \r) and ESC (colours). */
function isControl(unit: number): boolean {
  return (unit < 0x20 && (unit < 7 || unit > 13) && unit !== 0x1b) || unit === 0x7f;
}

/** ASCII in UTF-16 has a NUL in every second byte; demand it of 40 % of the units, always on the same side. */
function utf16WithoutMark(sample: Survey): Encoding | undefined {
  const units = sample.bytes / 2;
  const oddNuls = sample.nuls - sample.evenNuls;
  if (sample.evenNuls === 0 && oddNuls >= units * 0.4) return 'utf-16le';
  if (oddNuls === 0 && sample.evenNuls >= units * 0.4) return 'utf-16be';
  return undefined;
}

function decodeUtf8(bytes: Uint8Array, start: number, complete: boolean): DecodedText | undefined {
  const end = complete ? bytes.length : bytes.length - cutUtf8Bytes(bytes, start);
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(start, end),
    );
    return hasTooManyControls(text) ? undefined : { text, encoding: 'utf-8', start };
  } catch {
    return undefined;
  }
}

/** Bytes of an incomplete UTF-8 sequence at the end, 0 … 3. */
function cutUtf8Bytes(bytes: Uint8Array, start: number): number {
  for (let back = 1; back <= 3 && bytes.length - back >= start; back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back ? back : 0;
    }
  }
  return 0;
}

function decodeUtf16(
  bytes: Uint8Array,
  start: number,
  encoding: Encoding,
  complete: boolean,
): DecodedText | undefined {
  const units = (bytes.length - start) >> 1;
  if (complete && (bytes.length - start) % 2 !== 0) return undefined;
  let text = new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes.subarray(start, start + units * 2));
  const last = text.charCodeAt(text.length - 1);
  if (!complete && last === 0xfffd) text = text.slice(0, -1);
  return hasTooManyControls(text) ? undefined : { text, encoding, start };
}

function decodeSingleByte(bytes: Uint8Array, sample: Survey): DecodedText | undefined {
  if (!isPlausibleSingleByte(sample)) return undefined;
  const latin1 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  const text = latin1.replace(C1_CONTROLS, (control) => WINDOWS_1252[control.charCodeAt(0) - 0x80]!);
  return { text, encoding: 'windows-1252', start: 0 };
}

function isPlausibleSingleByte(sample: Survey): boolean {
  const { bytes, controls, high } = sample;
  return controls <= bytes * CONTROL_SHARE_SINGLE_BYTE && high <= bytes * HIGH_SHARE_SINGLE_BYTE;
}

/**
 * Windows-1252 is Latin-1 with printable characters in the place of the C1 controls 0x80 … 0x9f (five of which stay).
 * Spelled out because TextDecoder('windows-1252') of some Node versions decodes plain Latin-1.
 */
const WINDOWS_1252 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';
const C1_CONTROLS = /[\x80-\x9f]/g;

function hasTooManyControls(text: string): boolean {
  const end = Math.min(text.length, SAMPLE_BYTES);
  let controls = 0;
  for (let i = 0; i < end; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0) return true;
    if (isControl(unit)) controls++;
  }
  return controls > end * CONTROL_SHARE_UTF8;
}

function startsWith(bytes: Uint8Array, ascii: string): boolean {
  for (let i = 0; i < ascii.length; i++) if (bytes[i] !== ascii.charCodeAt(i)) return false;
  return true;
}

/** Bytes that `text[from … to)` takes in the file it was decoded from. */
export function encodedBytes(text: string, from: number, to: number, encoding: Encoding): number {
  if (encoding === 'windows-1252') return to - from;
  if (encoding !== 'utf-8') return (to - from) * 2;
  let bytes = 0;
  for (let i = from; i < to; i++) {
    const unit = text.charCodeAt(i);
    // Each half of a surrogate pair counts two of the four bytes.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
  }
  return bytes;
}
