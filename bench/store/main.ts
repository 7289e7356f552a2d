/** `npm run bench:store`: see docs/PERFORMANCE.md. */
import os from 'node:os';
import { abortAllOnExit } from '../fuse/mounts.ts';
import { mountMissing } from '../fuse/peers/vexfs.ts';
import { type Command, measure, parse, refuse } from '../runtime/command.ts';
import type { Effort, Part } from '../runtime/measure.ts';
import { batches } from './batches.ts';
import { beside } from './beside.ts';
import { durable } from './durable.ts';
import { floor, memoryMissing } from './floor.ts';
import { mounting } from './mounting.ts';
import { pause } from './pause.ts';
import { vectors } from './vectors.ts';
import { inWorkspace } from './workspace.ts';
import { written } from './written.ts';

/** A chapter with a folder of its own in the directory that was asked for. */
function chapter(name: string, run: (effort: Effort, workspace: string) => Promise<Part>) {
  return {
    name,
    run: (effort: Effort) => inWorkspace(asked.own.dir!, (workspace) => run(effort, workspace)),
  };
}

const COMMAND: Command = {
  name: 'bench:store',
  rounds: 5,
  milliseconds: 700,
  chapters: [
    chapter('transactions', durable),
    { ...chapter('floor', floor), missing: memoryMissing },
    chapter('beside', beside),
    chapter('vectors', vectors),
    chapter('batches', batches),
    chapter('written', written),
    chapter('mounting', mounting),
    chapter('pause', pause),
  ],
  options: {
    dir: {
      default: os.tmpdir(),
      help: `where to work, on the host filesystem to be compared with (${os.tmpdir()})`,
    },
  },
};

const asked = parse(COMMAND);
const missing = mountMissing();
if (missing !== undefined) refuse(`cannot measure a store: ${missing}`);
abortAllOnExit();
process.exit((await measure(COMMAND.chapters, asked)) ? 0 : 1);
