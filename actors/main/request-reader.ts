/** Cuts what comes over the control socket into requests: lines of JSON, each with the bytes that its `payload` announces. */
import { CONTROL_LINE_MAX, CONTROL_PAYLOAD_MAX } from '../../runtime/config/bounds.ts';

export interface Received {
  readonly line: string;
  readonly payload: Uint8Array | undefined;
}

const NEWLINE = 0x0a;

export class RequestReader {
  /** Pieces of the line, or of the payload, that has not ended. */
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** The line whose payload is being read, and how long that is. */
  #line: string | undefined;
  #expected = 0;

  /** Appends what `bytes` complete to `out`. A sentence when a limit is passed: nothing that follows can be understood. */
  take(bytes: Buffer, out: Received[]): string | undefined {
    let rest = bytes;
    while (rest.length > 0) {
      const end = this.#line === undefined ? this.#takeLine(rest, out) : this.#takePayload(rest, out);
      if (typeof end === 'string') return end;
      rest = rest.subarray(end);
    }
    return undefined;
  }

  /** The stream has ended, and with it the line. */
  end(out: Received[]): void {
    if (this.#line === undefined) out.push({ line: this.#joined().toString(), payload: undefined });
  }

  #takeLine(bytes: Buffer, out: Received[]): number | string {
    const newline = bytes.indexOf(NEWLINE);
    const piece = newline < 0 ? bytes : bytes.subarray(0, newline);
    this.#add(piece);
    if (this.#bytes > CONTROL_LINE_MAX) return `a request line is longer than ${CONTROL_LINE_MAX} characters`;
    if (newline < 0) return bytes.length;
    const line = this.#joined().toString();
    const expected = payloadBytes(line);
    if (expected > CONTROL_PAYLOAD_MAX) return `a payload is larger than ${CONTROL_PAYLOAD_MAX} bytes`;
    if (expected === 0) out.push({ line, payload: undefined });
    else {
      this.#line = line;
      this.#expected = expected;
    }
    return newline + 1;
  }

  #takePayload(bytes: Buffer, out: Received[]): number {
    const piece = bytes.subarray(0, this.#expected - this.#bytes);
    this.#add(piece);
    if (this.#bytes < this.#expected) return piece.length;
    // In memory of its own, which can be handed to another thread.
    const payload = new Uint8Array(this.#expected);
    let at = 0;
    for (const part of this.#pieces) {
      payload.set(part, at);
      at += part.length;
    }
    out.push({ line: this.#line!, payload });
    this.#line = undefined;
    this.#clear();
    return piece.length;
  }

  #add(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  #joined(): Buffer {
    const joined = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    this.#clear();
    return joined;
  }

  #clear(): void {
    this.#pieces = [];
    this.#bytes = 0;
  }
}

/** 0: none, or a line whose mistake is found when it is answered. */
function payloadBytes(line: string): number {
  if (!line.includes('"payload"')) return 0;
  try {
    const { payload } = JSON.parse(line) as { payload?: unknown };
    return typeof payload === 'number' && Number.isInteger(payload) && payload > 0 ? payload : 0;
  } catch {
    return 0;
  }
}
