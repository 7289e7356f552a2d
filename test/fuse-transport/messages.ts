/** Builds requests as the kernel would. */
import { Request } from '../../fuse/protocol/request.ts';

export interface Header {
  opcode: number;
  unique?: number;
  node?: number;
  uid?: number;
  gid?: number;
  pid?: number;
  extensionWords?: number;
}

/** Writes header and body into `request`; returns the length. */
export function put(request: Request, header: Header, body: Uint8Array = new Uint8Array()): number {
  const length = 40 + body.length;
  const { u32, u8 } = request;
  u32[0] = length;
  u32[1] = header.opcode;
  u32[2] = header.unique ?? 1;
  u32[3] = 0;
  u32[4] = header.node ?? 1;
  u32[5] = 0;
  u32[6] = header.uid ?? 1000;
  u32[7] = header.gid ?? 1000;
  u32[8] = header.pid ?? 4242;
  u32[9] = header.extensionWords ?? 0;
  u8.set(body, 40);
  return length;
}

export function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

export function bytes(...parts: (string | Uint8Array)[]): Uint8Array {
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}

export { Request };
