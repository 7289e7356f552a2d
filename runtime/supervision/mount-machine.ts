/** The life of a mount as a statechart. Pure: the events say what has happened. */
import { assign, setup } from 'xstate';

export type MountEvent =
  | { readonly type: 'start' }
  /** The tables are in memory. `damaged`: they can only be read. */
  | { readonly type: 'recovered'; readonly damaged: boolean }
  | { readonly type: 'usable' }
  /** The store failed, or damage was found: from now on it is only read. */
  | { readonly type: 'damaged' }
  /** A thread died in the middle of a change: the tables are made anew from the log. */
  | { readonly type: 'rebuild' }
  | { readonly type: 'disconnected' }
  | { readonly type: 'drained' }
  | { readonly type: 'fail' };

interface MountMachineContext {
  readonly isMounted: boolean;
  readonly isDamaged: boolean;
}

export const mountMachine = setup({
  types: { context: {} as MountMachineContext, events: {} as MountEvent },
  guards: {
    'it is mounted': ({ context }) => context.isMounted,
    'it is mounted and damaged': ({ context, event }) =>
      context.isMounted && (context.isDamaged || (event.type === 'recovered' && event.damaged)),
    'it is damaged': ({ context }) => context.isDamaged,
  },
  actions: {
    noteMounted: assign({ isMounted: true }),
    noteDamage: assign({
      isDamaged: ({ context, event }) =>
        context.isDamaged || event.type === 'damaged' || (event.type === 'recovered' && event.damaged),
    }),
  },
}).createMachine({
  id: 'mount',
  context: { isMounted: false, isDamaged: false },
  initial: 'idle',
  states: {
    idle: {
      description: 'Nothing runs yet.',
      on: { start: 'recovering', fail: 'failed' },
    },
    recovering: {
      description:
        'The tables are made from the newest checkpoint and the log after it: at the start, and again when a thread died in the middle of a change. Requests wait.',
      on: {
        recovered: [
          { guard: 'it is mounted and damaged', target: 'read-only', actions: 'noteDamage' },
          { guard: 'it is mounted', target: 'serving' },
          { target: 'mounting', actions: 'noteDamage' },
        ],
        fail: 'failed',
      },
    },
    mounting: {
      description: 'The kernel is asked for the mount, and the first request through it answered.',
      on: {
        usable: [
          { guard: 'it is damaged', target: 'read-only', actions: 'noteMounted' },
          { target: 'serving', actions: 'noteMounted' },
        ],
        fail: 'failed',
      },
    },
    serving: {
      description: 'Requests are answered.',
      on: {
        damaged: { target: 'read-only', actions: 'noteDamage' },
        rebuild: 'recovering',
        disconnected: 'draining',
        fail: 'failed',
      },
    },
    'read-only': {
      description: 'Requests are answered; those that would change something are refused.',
      on: { rebuild: 'recovering', disconnected: 'draining', fail: 'failed' },
    },
    draining: {
      description: 'It is unmounted; what is under way is finished, and everything is written.',
      on: { drained: 'unmounted', fail: 'failed' },
    },
    unmounted: { description: 'Everything is durable and nothing runs any more.', type: 'final' },
    failed: { description: 'It ended because something could not be done; see the log.', type: 'final' },
  },
});
