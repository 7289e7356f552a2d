/** The chart of an actor: single situations, and every property over generated sequences of events. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ActorEvent,
  BACK_OFF_FIRST_MS,
  BACK_OFF_LONGEST_MS,
  backOffMs,
} from '../../runtime/supervision/actor-machine.ts';
import { ACTOR_STATES, ActorChart } from '../../runtime/supervision/chart.ts';

const POLICY = { restarts: 3, windowMs: 10_000 };

/** A chart whose time the test owns; events that carry a time get the present one. */
class World {
  ms = 1000;
  readonly chart: ActorChart;

  constructor(policy = POLICY) {
    this.chart = new ActorChart(policy, { now: () => this.ms, monotonic: () => this.ms });
  }

  send(type: ActorEvent['type']): string {
    this.chart.send(type === 'start' || type === 'fail' ? { type, at: this.ms } : { type });
    return this.chart.state;
  }

  /** From any state with a thread to the next thread's being ready. */
  failAndReturn(): void {
    this.send('fail');
    this.send('cleared');
    this.ms += this.chart.pauseMs;
    this.send('start');
    this.send('ready');
  }

  running(): this {
    this.send('start');
    this.send('ready');
    return this;
  }
}

describe('a chart of an actor', () => {
  test('its orderly life: absent, starting, ready, busy, ready, draining, stopped', () => {
    const world = new World();
    expect(world.chart.state).toBe('absent');
    const seen = (['start', 'ready', 'awake', 'parked', 'drain', 'stopped'] as const).map((type) =>
      world.send(type),
    );
    expect(seen).toEqual(['starting', 'ready', 'busy', 'ready', 'draining', 'stopped']);
    expect(world.chart.isOver).toBe(true);
  });

  test.each(['ready', 'busy', 'draining'])(
    'a failure while %s: crashed, restarting, starting, ready',
    (state) => {
      const world = new World().running();
      if (state === 'busy') world.send('awake');
      if (state === 'draining') world.send('drain');
      expect(world.send('fail')).toBe('crashed');
      expect(world.send('start')).toBe('crashed');
      expect(world.send('cleared')).toBe('restarting');
      world.ms += BACK_OFF_FIRST_MS;
      expect(world.send('start')).toBe('starting');
      expect(world.send('ready')).toBe('ready');
      expect(world.chart.restarts).toBe(1);
    },
  );

  test('a failure before it was ever ready is final; a successor that fails at its start is a failure like others', () => {
    const first = new World();
    first.send('start');
    expect(first.send('fail')).toBe('given-up');
    const later = new World().running();
    later.send('fail');
    later.send('cleared');
    later.ms += BACK_OFF_FIRST_MS;
    later.send('start');
    expect(later.send('fail')).toBe('crashed');
  });

  test('the back-off doubles with each failure in the window, up to the longest, and is kept to the millisecond', () => {
    const world = new World({ restarts: 10, windowMs: 1e9 }).running();
    for (let n = 1; n <= 10; n++) {
      world.send('fail');
      world.send('cleared');
      const pause = backOffMs(n);
      expect(world.chart.pauseMs).toBe(pause);
      expect(pause).toBe(Math.min(BACK_OFF_LONGEST_MS, BACK_OFF_FIRST_MS * 2 ** (n - 1)));
      world.ms += pause - 1;
      expect(world.send('start')).toBe('restarting');
      world.ms += 1;
      expect(world.send('start')).toBe('starting');
      world.send('ready');
    }
  });

  test('failures that left the window no longer count', () => {
    const world = new World().running();
    for (let n = 0; n < 50; n++) {
      world.failAndReturn();
      expect(world.chart.state).toBe('ready');
      world.ms += POLICY.windowMs / POLICY.restarts;
    }
    expect(world.chart.restarts).toBe(50);
  });

  test('to be recalled is no failure, and waits for no back-off', () => {
    const world = new World({ restarts: 0, windowMs: 1000 }).running();
    for (let n = 0; n < 20; n++) {
      expect(world.send('recall')).toBe('restarting');
      expect(world.send('start')).toBe('starting');
      expect(world.send('ready')).toBe('ready');
    }
    expect(world.chart.failures).toBe(0);
    expect(world.send('fail')).toBe('crashed');
    expect(world.send('cleared')).toBe('given-up');
  });

  test('one that is not needed any more: draining, retired, absent, and its next life begins as the first did', () => {
    const world = new World().running();
    world.failAndReturn();
    const seen = (['retire', 'drain', 'stopped', 'vacated'] as const).map((type) => world.send(type));
    expect(seen).toEqual(['draining', 'draining', 'retired', 'absent']);
    expect(world.chart.isAbsent).toBe(true);
    expect([world.chart.isOver, world.chart.failures, world.chart.restarts]).toEqual([false, 0, 0]);
    world.running();
    expect(world.chart.state).toBe('ready');
    world.send('drain');
    expect(world.send('stopped')).toBe('stopped');
  });

  test('a death on its way out is a failure like any other; its successor may be asked to go before it is ready', () => {
    for (const stop of [['retire', 'stopped'], ['stopped'], ['drain', 'stopped']] as const) {
      const world = new World().running();
      world.send('retire');
      expect(world.send('fail')).toBe('crashed');
      world.send('cleared');
      world.ms += BACK_OFF_FIRST_MS;
      world.send('start');
      expect(world.send('ready')).toBe('ready');
      expect(stop.map((type) => world.send(type)).at(-1)).toBe('retired');
    }
  });

  test('an addition that never gets ready is taken away again; once it was ready it is as good as the others', () => {
    const world = new World();
    world.chart.send({ type: 'start', at: world.ms, isAddition: true });
    expect(world.send('fail')).toBe('retired');
    expect(world.send('vacated')).toBe('absent');
    world.chart.send({ type: 'start', at: world.ms, isAddition: true });
    world.send('ready');
    for (let n = 1; n <= POLICY.restarts; n++) {
      world.failAndReturn();
      expect(world.chart.state).toBe('ready');
    }
    world.send('fail');
    expect(world.send('cleared')).toBe('given-up');
  });

  test('what was an addition is none in its next life', () => {
    const world = new World();
    world.chart.send({ type: 'start', at: world.ms, isAddition: true });
    world.send('fail');
    world.send('vacated');
    world.send('start');
    expect(world.send('fail')).toBe('given-up');
  });

  test('since when it is in its state does not change with being busy', () => {
    const world = new World().running();
    world.ms += 500;
    world.send('awake');
    world.send('parked');
    expect(world.chart.since).toBe(1000);
    world.send('drain');
    expect(world.chart.since).toBe(1500);
  });
});

describe('any sequence of events', () => {
  const types: ActorEvent['type'][] = [
    'start',
    'ready',
    'awake',
    'parked',
    'drain',
    'stopped',
    'fail',
    'cleared',
    'recall',
    'retire',
    'vacated',
  ];
  const step = fc.record({ type: fc.constantFrom(...types), after: fc.nat({ max: 5000 }) });
  const policy = fc.record({ restarts: fc.nat({ max: 5 }), windowMs: fc.integer({ min: 1, max: 20_000 }) });

  test('stays in the chart, starts no thread before the back-off is over, and none while another may run', () => {
    fc.assert(
      fc.property(policy, fc.array(step, { maxLength: 80 }), (rule, steps) => {
        const world = new World(rule);
        let threads = 0;
        for (const { type, after } of steps) {
          world.ms += after;
          const before = world.chart.state;
          const pause = world.chart.pauseMs;
          const state = world.send(type);
          expect(ACTOR_STATES).toContain(state);
          if (state !== 'starting' || before === 'starting') continue;
          threads = before === 'absent' ? 1 : threads + 1;
          expect(type).toBe('start');
          expect(['absent', 'restarting']).toContain(before);
          expect(pause).toBe(0);
        }
        if (!world.chart.isAbsent) expect(world.chart.restarts).toBe(Math.max(0, threads - 1));
      }),
      { numRuns: 500 },
    );
  });

  test('gives up exactly at the limit: with the first failure that has as many others in its window', () => {
    fc.assert(
      fc.property(policy, fc.array(fc.nat({ max: 8000 }), { maxLength: 30 }), (rule, pauses) => {
        const world = new World(rule).running();
        const failures: number[] = [];
        for (const pause of pauses) {
          world.ms += pause;
          failures.push(world.ms);
          const inWindow = failures.filter((at) => at > world.ms - rule.windowMs).length;
          world.failAndReturn();
          expect(world.chart.state).toBe(inWindow > rule.restarts ? 'given-up' : 'ready');
          if (world.chart.isOver) return;
        }
      }),
      { numRuns: 500 },
    );
  });

  test('what is over stays over', () => {
    fc.assert(
      fc.property(fc.constantFrom('end', 'give up'), fc.array(step, { maxLength: 40 }), (end, steps) => {
        const world = new World();
        for (const { type, after } of steps) {
          world.ms += after;
          world.send(type);
        }
        const wasOver = world.chart.isOver;
        const last = world.chart.state;
        const state = world.send(end as ActorEvent['type']);
        expect(state).toBe(wasOver ? last : end === 'end' ? 'stopped' : 'given-up');
        for (const { type } of steps) expect(world.send(type)).toBe(state);
      }),
    );
  });

  test('every state is reached by some short sequence', () => {
    const reached = new Set<string>();
    const explore = (path: ActorEvent['type'][], depth: number): void => {
      const world = new World({ restarts: 1, windowMs: 1e9 });
      for (const type of path) {
        world.ms += BACK_OFF_LONGEST_MS;
        world.send(type);
      }
      reached.add(world.chart.state);
      if (depth > 0) for (const type of types) explore([...path, type], depth - 1);
    };
    explore([], 4);
    expect([...reached].sort()).toEqual([...ACTOR_STATES].sort());
  });
});
