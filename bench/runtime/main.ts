/** `npm run bench:runtime`: see docs/PERFORMANCE.md. */
import { abortAllOnExit } from '../fuse/mounts.ts';
import { mountMissing } from '../fuse/peers/vexfs.ts';
import { type Command, measure, parse } from './command.ts';
import { embedding } from './embedding.ts';
import { lookupScaling } from './lookups.ts';
import { messaging } from './messaging.ts';
import { simulation } from './simulation.ts';
import { stealing } from './stealing.ts';

const COMMAND: Command = {
  name: 'bench:runtime',
  rounds: 7,
  milliseconds: 500,
  chapters: [
    { name: 'messages', run: messaging },
    { name: 'stealing', run: stealing },
    { name: 'simulation', run: simulation },
    { name: 'embedding', run: embedding },
    { name: 'lookups', missing: mountMissing, run: lookupScaling },
  ],
};

const asked = parse(COMMAND);
abortAllOnExit();
process.exit((await measure(COMMAND.chapters, asked)) ? 0 : 1);
