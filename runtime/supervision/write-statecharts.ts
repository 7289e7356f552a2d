/** Writes docs/STATECHARTS.md. */
import { writeFileSync } from 'node:fs';
import { statechartsDocument } from './statecharts.ts';

writeFileSync(new URL('../../../docs/STATECHARTS.md', import.meta.url), statechartsDocument());
