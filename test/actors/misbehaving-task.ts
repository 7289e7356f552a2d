/** Stands in for the task that embeds files: what it does is what the files' titles say. */
import { createRequire } from 'node:module';
import type { EmbedResult, EmbedTask } from '../../actors/indexer/embed-task.ts';

export default function misbehave(files: readonly EmbedTask[]): EmbedResult[] {
  return files.map(({ title }) => misbehaveOver(title));
}

function misbehaveOver(title: string): EmbedResult {
  if (title === 'throw') throw new Error('thrown');
  if (title === 'require') createRequire(import.meta.url)(import.meta.filename);
  if (title === 'exit') process.exit(3);
  while (title === 'hang');
  return [];
}
