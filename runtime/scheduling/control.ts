/**
 * The actor's end of the control plane: calls come as messages and are carried out between two others, so that an actor
 * that parks on a doorbell or in a system call, and never returns to an event loop, answers them too.
 *
 * A call is what Comlink sends ({id, type, path, argumentList}), as JSON; the answer is what it expects ({id, type,
 * value}). Only methods can be called; they answer at once, and their arguments and results are plain JSON.
 */
import type { Outbox } from '../messaging/mailbox.ts';
import { CONTROL_ANSWER } from './actor.ts';

export interface ControlPort {
  /** The object whose methods are called. */
  readonly remote: object;
  /** The lane back. */
  answers(): Outbox;
}

interface Wire {
  readonly id?: unknown;
  readonly type?: unknown;
  readonly path?: unknown;
  readonly argumentList?: unknown;
}

interface WireValue {
  readonly type?: unknown;
  readonly value?: unknown;
}

/** Longest answer, in bytes of JSON. */
const ANSWER_MAX = 24 * 1024;

/** Carries out one call on `remote`. Never throws: what goes wrong is the answer. */
export function answerCall(remote: object, text: string): string {
  let id: unknown = '';
  try {
    const call = JSON.parse(text) as Wire;
    id = call.id;
    const answer = JSON.stringify({ id, type: 'RAW', value: invoke(remote, call) });
    const bytes = Buffer.byteLength(answer);
    return bytes <= ANSWER_MAX ? answer : thrown(id, new Error(`the answer has ${bytes} bytes, too many`));
  } catch (error) {
    return thrown(id, error as Error);
  }
}

/** Takes a call from u8[offset, offset + length) and posts its answer. A caller that stopped listening gets none. */
export function takeCall(port: ControlPort, u8: Uint8Array, offset: number, length: number): void {
  const answer = answerCall(port.remote, textOf(u8, offset, length));
  writeText(port.answers(), CONTROL_ANSWER, answer);
}

/** False when the lane is full. */
export function writeText(outbox: Outbox, kind: number, text: string): boolean {
  const bytes = Buffer.from(text);
  const at = outbox.claim(kind, bytes.length);
  if (at < 0) return false;
  outbox.u8.set(bytes, at);
  outbox.send();
  return true;
}

/** A copy, because a decoder refuses shared memory. */
export function textOf(u8: Uint8Array, offset: number, length: number): string {
  return Buffer.from(u8.slice(offset, offset + length)).toString();
}

/** What Comlink makes a rejected promise of. */
export function thrown(id: unknown, { message, name }: Error): string {
  const value = { isError: true, value: { message, name, stack: '' } };
  return JSON.stringify({ id, type: 'HANDLER', name: 'throw', value });
}

function invoke(remote: object, { type, path, argumentList }: Wire): unknown {
  if (type !== 'APPLY' || !Array.isArray(path) || path.length !== 1) {
    throw new Error('only the methods of an actor can be called');
  }
  const name = String(path[0]);
  const method: unknown = Object.hasOwn(Object.prototype, name) ? undefined : Reflect.get(remote, name);
  if (typeof method !== 'function') throw new Error(`this actor has no method "${name}"`);
  const values = Array.isArray(argumentList) ? (argumentList as WireValue[]).map(({ value }) => value) : [];
  return Reflect.apply(method, remote, values);
}
