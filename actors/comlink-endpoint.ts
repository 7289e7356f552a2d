import type { Endpoint } from 'comlink';
import adapter from 'comlink/dist/umd/node-adapter.js';

/** What Comlink needs of a Node.js worker or port. */
export interface NodePort {
  postMessage(message: unknown, transfer?: unknown): void;
  on(event: string, listener: (...values: unknown[]) => void): unknown;
  off(event: string, listener: (...values: unknown[]) => void): unknown;
}

/** Comlink speaks browser events; its own adapter makes Node's emitters look like them. */
export const nodeEndpoint = adapter as unknown as (port: NodePort) => Endpoint;
