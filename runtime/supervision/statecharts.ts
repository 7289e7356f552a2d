/** The text of docs/STATECHARTS.md; `npm run docs:statecharts` writes it, a test keeps it current. */
import { actorMachine, BACK_OFF_FIRST_MS, BACK_OFF_LONGEST_MS } from './actor-machine.ts';
import { describeMachine, drawMachine } from './draw.ts';
import { mountMachine } from './mount-machine.ts';

export function statechartsDocument(): string {
  return `# Statecharts

Drawn from the machines themselves (\`runtime/supervision/actor-machine.ts\`, \`runtime/supervision/mount-machine.ts\`) by
\`npm run docs:statecharts\`; a test keeps this file current. An event that a state has no arrow for changes nothing.

## An actor

${drawMachine(actorMachine)}

${describeMachine(actorMachine)}

*fail* is a thread that ended by itself (an error, its memory used up, killed) or that hangs. After the *n*th failure within
\`supervision.window_s\` the back-off is ${BACK_OFF_FIRST_MS} ms × 2^(n − 1), at most ${BACK_OFF_LONGEST_MS} ms; *restarts are left* while n is at most
\`supervision.restarts\`. *recall* takes down an actor because what it builds on is made anew; it is not counted.

## The mount

${drawMachine(mountMachine)}

${describeMachine(mountMachine)}
`;
}
