/** Cuts what comes over the control socket into requests: lines of JSON, each with the bytes that its `payload` announces. */
import { CONTROL_LINE_MAX, CONTROL_PAYLOAD_MAX } from '../../runtime/config/bounds.ts';

export interface Received {
  readonly line: string;
  /** What the line says, where it had to be parsed for its payload: it may be long, with a path for each vector. */
  readonly request?: unknown;
  readonly payload: Uint8Array | undefined;
}

const NEWLINE = 0x0a;

export class RequestReader {
  /** Pieces of the line that has not ended. */
  #pieces: Buffer[] = [];
  /** Of the line, or of the payload, so far. */
  #bytes = 0;
  /** The request whose payload is being read, in memory of its own, which can be handed to another thread. */
  #open: { readonly line: string; readonly request: unknown; readonly payload: Uint8Array } | undefined;

  /** Appends what `bytes` complete to `out`. A sentence when a limit is passed: nothing that follows can be understood. */
  take(bytes: Buffer, out: Received[]): string | undefined {
    let rest = bytes;
    while (rest.length > 0) {
      const end = this.#open === undefined ? this.#takeLine(rest, out) : this.#takePayload(rest, out);
      if (typeof end === 'string') return end;
      rest = rest.subarray(end);
    }
    return undefined;
  }

  /** The stream has ended, and with it the line. */
  end(out: Received[]): void {
    if (this.#open === undefined) out.push({ line: this.#joined().toString(), payload: undefined });
  }

  #takeLine(bytes: Buffer, out: Received[]): number | string {
    const newline = bytes.indexOf(NEWLINE);
    const piece = newline < 0 ? bytes : bytes.subarray(0, newline);
    this.#add(piece);
    if (this.#bytes > CONTROL_LINE_MAX) return `a request line is longer than ${CONTROL_LINE_MAX} characters`;
    if (newline < 0) return bytes.length;
    const line = this.#joined().toString();
    const request = line.includes('"payload"') ? parsed(line) : undefined;
    const expected = payloadBytes(request);
    if (expected > CONTROL_PAYLOAD_MAX) return `a payload is larger than ${CONTROL_PAYLOAD_MAX} bytes`;
    if (expected === 0) out.push({ line, request, payload: undefined });
    else this.#open = { line, request, payload: new Uint8Array(expected) };
    return newline + 1;
  }

  #takePayload(bytes: Buffer, out: Received[]): number {
    const open = this.#open!;
    const piece = bytes.subarray(0, open.payload.length - this.#bytes);
    open.payload.set(piece, this.#bytes);
    this.#bytes += piece.length;
    if (this.#bytes < open.payload.length) return piece.length;
    out.push(open);
    this.#open = undefined;
    this.#bytes = 0;
    return piece.length;
  }

  #add(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  #joined(): Buffer {
    const joined = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    return joined;
  }
}

/** Undefined: no JSON, which is said when the line is answered. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** 0: none, or a mistake that is found when the request is answered. */
function payloadBytes(request: unknown): number {
  const { payload } = (request ?? {}) as { payload?: unknown };
  return typeof payload === 'number' && Number.isInteger(payload) && payload > 0 ? payload : 0;
}
