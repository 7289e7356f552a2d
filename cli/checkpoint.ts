import type { Command } from 'commander';
import { roundSize } from '../runtime/config/size.ts';
import { findMount, withMount } from './mounts.ts';
import type { CheckpointReport, CheckpointStatus } from './protocol.ts';
import { clearProgress, grouped, plural, print, printJson, progress } from './terminal.ts';

const HELP = `
A checkpoint is what a mount begins with; only what came after it is read from the log. They are made in the
background by themselves (store.checkpoint_bytes, store.checkpoint_interval_s) and at the unmount. Nobody waits for one.

Examples:
  vexfs checkpoint              before an upgrade of the machine, say
  vexfs checkpoint ~/notes --json | jq .diskBytes`;

export function addCheckpoint(program: Command): void {
  program
    .command('checkpoint')
    .summary('make a checkpoint now, while the mount goes on')
    .description('Make a checkpoint of everything written so far, while the mount goes on.')
    .argument('[dir]', 'where it is mounted, or any path inside')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(checkpoint);
}

async function checkpoint(directory: string | undefined, options: { json?: true }): Promise<void> {
  const mount = findMount({ mount: directory });
  const onProgress = (value: unknown): void => {
    const { doing } = value as { readonly doing: string };
    if (doing !== '') progress(doing);
  };
  const report = await withMount(mount, (client) => client.call('checkpoint', {}, { onProgress }));
  clearProgress();
  if (options.json) printJson(report);
  else for (const line of describeReport(report)) print(line);
}

export function describeReport(report: CheckpointReport): string[] {
  if (report.kind === 'current') return [`change ${grouped(report.lsn)} is in a checkpoint already`];
  const { lsn, records, tableBytes, diskBytes, milliseconds } = report;
  return [
    `checkpoint of change ${grouped(lsn)}: ${plural(records, 'record')} of the log taken in, in ${(milliseconds / 1000).toFixed(1)} s`,
    `${roundSize(tableBytes)} of tables; ${roundSize(diskBytes)} on the disk, text vectors included`,
    ...report.damaged.map(
      ({ file, offset, reason }) => `an older one was damaged: ${file} at byte ${offset}: ${reason}`,
    ),
  ];
}

/** For `vexfs status`, in one line. */
export function describeCheckpoints({ doing, lsn, logBytes, failure }: CheckpointStatus): string {
  const now = doing === '' ? '' : `; being made: ${doing}`;
  const failed = failure === undefined ? '' : `; the last attempt failed: ${failure}`;
  return `of change ${grouped(lsn)}, ${roundSize(logBytes)} of log since${now}${failed}`;
}
