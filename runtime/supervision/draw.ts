/** Draws a statechart from its machine, as text for Mermaid. */
import type { AnyStateMachine, AnyStateNode } from 'xstate';

/** Mermaid's identifiers are letters, digits and underscores. */
function idOf(node: AnyStateNode): string {
  return node.key.replaceAll(/\W/g, '_');
}

function guardOf(guard: unknown): string {
  return typeof guard === 'string' ? ` [${guard}]` : '';
}

function arrows(node: AnyStateNode): string[] {
  const lines: string[] = [];
  for (const [event, transitions] of node.transitions) {
    for (const { target, guard } of transitions) {
      for (const to of target ?? []) lines.push(`${idOf(node)} --> ${idOf(to)} : ${event}${guardOf(guard)}`);
    }
  }
  return lines;
}

function states(node: AnyStateNode): string[] {
  const lines: string[] = [];
  for (const initial of node.initial?.target ?? []) lines.push(`[*] --> ${idOf(initial)}`);
  for (const child of Object.values(node.states)) {
    const inner = Object.values(child.states).length > 0;
    if (inner) lines.push(`state ${idOf(child)} {`, ...states(child).map((line) => `  ${line}`), '}');
    else if (idOf(child) !== child.key) lines.push(`state "${child.key}" as ${idOf(child)}`);
    lines.push(...arrows(child));
    if (child.type === 'final') lines.push(`${idOf(child)} --> [*]`);
  }
  return lines;
}

/** The diagram, with what happens in any state (transitions of the machine itself) as a sentence below it. */
export function drawMachine(machine: AnyStateMachine): string {
  const anywhere = [...machine.root.transitions].flatMap(([event, transitions]) =>
    transitions.flatMap(({ target }) => (target ?? []).map(({ key }) => `*${event}* leads to *${key}*`)),
  );
  const diagram = [
    '```mermaid',
    'stateDiagram-v2',
    ...states(machine.root).map((line) => `  ${line}`),
    '```',
  ];
  if (anywhere.length > 0) diagram.push('', `In every state, ${anywhere.join(', ')}.`);
  return diagram.join('\n');
}

/** A table of the innermost states and what they mean. */
export function describeMachine(machine: AnyStateMachine): string {
  const rows: string[] = [];
  const add = (node: AnyStateNode): void => {
    if (node.description !== undefined) rows.push(`| ${node.key} | ${node.description} |`);
    for (const child of Object.values(node.states)) add(child);
  };
  add(machine.root);
  return ['| state | what it means |', '| --- | --- |', ...rows].join('\n');
}
