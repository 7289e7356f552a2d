/**
 * The life of a supervised actor as a statechart. Pure: time comes with the events, and what is to be done in a state
 * (start a thread, end it) is the supervisor's.
 *
 * A failure of an actor that has never been ready is final: what kept it from starting would do so again. So is one
 * more failure than `restarts` within `windowMs`. An actor that was added to others that do its work already is not missed:
 * if it never gets ready, it is taken away again. Nothing is left of its life once it is absent.
 */
import { assign, setup } from 'xstate';

export interface RestartPolicy {
  /** Failures within `windowMs` after which the actor is still started again. */
  readonly restarts: number;
  readonly windowMs: number;
}

/** The pause before the first restart in a window; each further one is twice as long, up to the longest. */
export const BACK_OFF_FIRST_MS = 50;
export const BACK_OFF_LONGEST_MS = 2000;

/** How long after the `failures`th failure (≥ 1) of a window the next thread starts, ms. */
export function backOffMs(failures: number): number {
  return Math.min(BACK_OFF_LONGEST_MS, BACK_OFF_FIRST_MS * 2 ** (failures - 1));
}

/** `at` is of a monotonic clock, milliseconds. */
export type ActorEvent =
  /** `isAddition`, of a first thread: others of its kind run, and would do without it. */
  | { readonly type: 'start'; readonly at: number; readonly isAddition?: boolean }
  | { readonly type: 'ready' }
  | { readonly type: 'awake' }
  | { readonly type: 'parked' }
  | { readonly type: 'drain' }
  /** It is not needed any more: when it has stopped, it goes. */
  | { readonly type: 'retire' }
  | { readonly type: 'vacated' }
  | { readonly type: 'stopped' }
  | { readonly type: 'fail'; readonly at: number }
  | { readonly type: 'cleared' }
  | { readonly type: 'recall' }
  | { readonly type: 'give up' }
  | { readonly type: 'end' };

export interface ActorMachineContext {
  readonly policy: RestartPolicy;
  /** When it failed, as far as the window reaches back. */
  readonly failures: readonly number[];
  /** Its next thread starts no earlier. */
  readonly notBefore: number;
  /** Threads that were started. */
  readonly starts: number;
  readonly wasReady: boolean;
  readonly isAddition: boolean;
  readonly isLeaving: boolean;
}

const UNBORN = {
  failures: [],
  notBefore: 0,
  starts: 0,
  wasReady: false,
  isAddition: false,
  isLeaving: false,
} as const;

export const actorMachine = setup({
  types: {
    context: {} as ActorMachineContext,
    events: {} as ActorEvent,
    input: {} as RestartPolicy,
  },
  guards: {
    'was never ready': ({ context }) => !context.wasReady,
    'was added and never ready': ({ context }) => context.isAddition && !context.wasReady,
    'it is leaving': ({ context }) => context.isLeaving,
    'restarts are left': ({ context }) => context.failures.length <= context.policy.restarts,
    'the back-off is over': ({ context, event }) => event.type === 'start' && event.at >= context.notBefore,
  },
  actions: {
    countStart: assign({ starts: ({ context }) => context.starts + 1 }),
    noteReady: assign({ wasReady: true }),
    noteAddition: assign({
      isAddition: ({ event }) => event.type === 'start' && event.isAddition === true,
    }),
    noteLeaving: assign({ isLeaving: true }),
    forget: assign(UNBORN),
    countFailure: assign(({ context, event }) => {
      if (event.type !== 'fail') return {};
      const { at } = event;
      const since = at - context.policy.windowMs;
      const failures = [...context.failures.filter((time) => time > since), at];
      return { failures, notBefore: at + backOffMs(failures.length) };
    }),
  },
}).createMachine({
  id: 'actor',
  context: ({ input }) => ({ policy: input, ...UNBORN }),
  initial: 'absent',
  on: { end: '.stopped', 'give up': '.given-up' },
  states: {
    absent: {
      description: 'It has no thread: not yet, or it is not needed, and there is only room for it.',
      on: { start: { target: 'starting', actions: ['countStart', 'noteAddition'] } },
    },
    starting: {
      description: 'Its thread loads its code and takes over what is in shared memory.',
      on: {
        ready: { target: 'running', actions: 'noteReady' },
        retire: { actions: 'noteLeaving' },
        fail: [
          { guard: 'was added and never ready', target: 'retired' },
          { guard: 'was never ready', target: 'given-up' },
          { target: 'crashed', actions: 'countFailure' },
        ],
        recall: 'restarting',
      },
    },
    running: {
      initial: 'ready',
      on: {
        drain: 'draining',
        retire: { target: 'draining', actions: 'noteLeaving' },
        stopped: [{ guard: 'it is leaving', target: 'retired' }, { target: 'stopped' }],
        fail: { target: 'crashed', actions: 'countFailure' },
        recall: 'restarting',
      },
      states: {
        ready: { description: 'It waits for something to do.', on: { awake: 'busy' } },
        busy: { description: 'It is at work.', on: { parked: 'ready' } },
      },
    },
    draining: {
      description: 'It was asked to stop, and finishes what it has.',
      on: {
        retire: { actions: 'noteLeaving' },
        stopped: [{ guard: 'it is leaving', target: 'retired' }, { target: 'stopped' }],
        fail: { target: 'crashed', actions: 'countFailure' },
        recall: 'restarting',
      },
    },
    crashed: {
      description:
        'Its thread has died or hangs; it is ended, and what it held (locks, half a change) is looked at.',
      on: {
        retire: { actions: 'noteLeaving' },
        cleared: [{ guard: 'restarts are left', target: 'restarting' }, { target: 'given-up' }],
      },
    },
    restarting: {
      description:
        'It has no thread; the next one starts after the back-off, or once the tables are rebuilt.',
      on: {
        retire: { actions: 'noteLeaving' },
        start: { guard: 'the back-off is over', target: 'starting', actions: 'countStart' },
      },
    },
    retired: {
      description: 'It is not needed any more, or was added and did not start: its row is being cleared.',
      on: { vacated: { target: 'absent', actions: 'forget' } },
    },
    stopped: { description: 'It has ended in order.', type: 'final' },
    'given-up': {
      description: 'It failed too often, never started, or its thread cannot be ended: the mount ends.',
      type: 'final',
    },
  },
});
