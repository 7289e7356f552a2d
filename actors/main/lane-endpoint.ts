import type { Endpoint } from 'comlink';
import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import { CONTROL } from '../../runtime/scheduling/actor.ts';
import { thrown, writeText } from '../../runtime/scheduling/control.ts';

type ComlinkListener = Parameters<Endpoint['addEventListener']>[1];
type Listener = (event: { readonly data: unknown }) => void;

/** Longest call, in bytes of JSON: half of the smallest lane would do. */
const CALL_MAX = 4 * 1024;

/**
 * Main's end of the lane to an actor, as Comlink wants an endpoint to be: what it posts goes to the actor as a CONTROL
 * message, and what the actor answers is given to `answered`. So `wrap<ActorRemote>(endpoint)` works for every actor,
 * whether it has an event loop or not.
 */
export class LaneEndpoint implements Endpoint {
  readonly #outbox: Outbox;
  readonly #listeners = new Set<Listener>();

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** Never waits: a call that does not fit is answered with the reason. */
  postMessage(message: unknown): void {
    const text = JSON.stringify(message);
    const { id } = message as { id?: unknown };
    if (Buffer.byteLength(text) > CALL_MAX) this.#refuse(id, 'the call is too large for a control lane');
    else if (!writeText(this.#outbox, CONTROL, text)) this.#refuse(id, 'its control lane is full');
  }

  addEventListener(_type: string, listener: ComlinkListener): void {
    this.#listeners.add(listener as unknown as Listener);
  }

  removeEventListener(_type: string, listener: ComlinkListener): void {
    this.#listeners.delete(listener as unknown as Listener);
  }

  /** An answer of the actor. */
  answered(text: string): void {
    const data: unknown = JSON.parse(text);
    for (const listener of this.#listeners) listener({ data });
  }

  #refuse(id: unknown, reason: string): void {
    queueMicrotask(() => this.answered(thrown(id, new Error(reason))));
  }
}
