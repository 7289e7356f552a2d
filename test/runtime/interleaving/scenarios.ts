/** What the explorer runs: small uses of the real shared-memory code, one function per logical thread. */

import { log } from './log.ts';
import { memory } from './memory.ts';
import { messaging } from './messaging.ts';
import type { Scenario } from './scenario.ts';
import { stealing } from './stealing.ts';
import { storage } from './storage.ts';
import { sync } from './sync.ts';

export const scenarios: Record<string, Scenario> = {
  ...messaging,
  ...memory,
  ...sync,
  ...log,
  ...storage,
  ...stealing,
};
