import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MOUNT_STATES, MountChart } from '../../runtime/supervision/chart.ts';
import type { MountEvent } from '../../runtime/supervision/mount-machine.ts';

const RECOVERED: MountEvent = { type: 'recovered', damaged: false };
const DAMAGED: MountEvent = { type: 'recovered', damaged: true };

function stateAfter(...events: (MountEvent | MountEvent['type'])[]): string {
  const chart = new MountChart();
  for (const event of events) chart.send(typeof event === 'string' ? ({ type: event } as MountEvent) : event);
  return chart.state;
}

describe('the chart of a mount', () => {
  test('its orderly life', () => {
    expect(stateAfter()).toBe('idle');
    expect(stateAfter('start')).toBe('recovering');
    expect(stateAfter('start', RECOVERED)).toBe('mounting');
    expect(stateAfter('start', RECOVERED, 'usable')).toBe('serving');
    expect(stateAfter('start', RECOVERED, 'usable', 'disconnected')).toBe('draining');
    expect(stateAfter('start', RECOVERED, 'usable', 'disconnected', 'drained')).toBe('unmounted');
  });

  test('a damaged store is served read-only, whenever the damage was found', () => {
    expect(stateAfter('start', DAMAGED, 'usable')).toBe('read-only');
    expect(stateAfter('start', RECOVERED, 'usable', 'damaged')).toBe('read-only');
    expect(stateAfter('start', RECOVERED, 'usable', 'rebuild', DAMAGED)).toBe('read-only');
  });

  test('rebuilding the tables is recovering, and leads back to where it was', () => {
    expect(stateAfter('start', RECOVERED, 'usable', 'rebuild')).toBe('recovering');
    expect(stateAfter('start', RECOVERED, 'usable', 'rebuild', RECOVERED)).toBe('serving');
    expect(stateAfter('start', RECOVERED, 'usable', 'damaged', 'rebuild', RECOVERED)).toBe('read-only');
    expect(stateAfter('start', RECOVERED, 'usable', 'rebuild', RECOVERED, 'rebuild', RECOVERED)).toBe(
      'serving',
    );
  });

  test('a failure on the way up or down is the end', () => {
    expect(stateAfter('fail')).toBe('failed');
    for (const events of [
      ['start'],
      ['start', RECOVERED],
      ['start', RECOVERED, 'usable', 'rebuild'],
    ] as const) {
      expect(stateAfter(...(events as readonly MountEvent[]), 'fail')).toBe('failed');
      expect(stateAfter(...(events as readonly MountEvent[]), 'fail', 'start')).toBe('failed');
    }
    expect(stateAfter('start', RECOVERED, 'usable', 'disconnected', 'fail')).toBe('failed');
  });

  test('no sequence of events leaves the chart, damage is never forgotten, and what is over stays over', () => {
    const event = fc.oneof(
      fc.constantFrom<MountEvent['type']>(
        'start',
        'usable',
        'damaged',
        'rebuild',
        'disconnected',
        'drained',
        'fail',
      ),
      fc.constantFrom(RECOVERED, DAMAGED),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const chart = new MountChart();
        let wasReadOnly = false;
        let last = 'idle';
        for (const one of events) {
          chart.send(typeof one === 'string' ? ({ type: one } as MountEvent) : one);
          const { state } = chart;
          expect(MOUNT_STATES).toContain(state);
          if (wasReadOnly) expect(state).not.toBe('serving');
          if (last === 'unmounted' || last === 'failed') expect(state).toBe(last);
          wasReadOnly ||= state === 'read-only';
          last = state;
        }
      }),
      { numRuns: 500 },
    );
  });
});
