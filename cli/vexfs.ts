#!/usr/bin/env node
import { run } from './program.ts';
import { clearProgress, outliveReaders } from './terminal.ts';

outliveReaders();
process.exitCode = await run(process.argv.slice(2));
clearProgress();
