import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { setup } from 'xstate';
import { describeMachine, drawMachine } from '../../runtime/supervision/draw.ts';
import { statechartsDocument } from '../../runtime/supervision/statecharts.ts';
import { affected } from '../../runtime/supervision/strategy.ts';

test('docs/STATECHARTS.md is what npm run docs:statecharts writes', () => {
  const file = new URL('../../../docs/STATECHARTS.md', import.meta.url);
  expect(readFileSync(file, 'utf8')).toBe(statechartsDocument());
});

test('a machine is drawn with its states, inner states, events, guards, ends, and what may happen anywhere', () => {
  const machine = setup({
    types: { events: {} as { type: 'go' } | { type: 'off' } },
    guards: { 'it may': () => true },
  }).createMachine({
    id: 'm',
    initial: 'a',
    on: { off: '.the-end' },
    states: {
      a: { description: 'First.', on: { go: { guard: 'it may', target: 'b' } } },
      b: { initial: 'c', states: { c: { description: 'Inside.' } } },
      'the-end': { type: 'final' },
    },
  });
  expect(drawMachine(machine).split('\n')).toEqual([
    '```mermaid',
    'stateDiagram-v2',
    '  [*] --> a',
    '  a --> b : go [it may]',
    '  state b {',
    '    [*] --> c',
    '  }',
    '  state "the-end" as the_end',
    '  the_end --> [*]',
    '```',
    '',
    'In every state, *off* leads to *the-end*.',
  ]);
  expect(describeMachine(machine).split('\n').slice(2)).toEqual(['| a | First. |', '| c | Inside. |']);
});

test('one-for-one is the one that failed; rest-for-one also those that were started after it', () => {
  const order = ['a', 'b', 'c'];
  expect(affected('one-for-one', order, 'b')).toEqual(['b']);
  expect(affected('rest-for-one', order, 'b')).toEqual(['b', 'c']);
  expect(affected('rest-for-one', order, 'a')).toEqual(order);
  expect(affected('rest-for-one', order, 'x')).toEqual([]);
});
