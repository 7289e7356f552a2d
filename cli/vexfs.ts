#!/usr/bin/env node
import { run } from './program.ts';
import { clearProgress } from './terminal.ts';

/** A reader that has seen enough ("| head") is no error. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

process.exitCode = await run(process.argv.slice(2));
clearProgress();
