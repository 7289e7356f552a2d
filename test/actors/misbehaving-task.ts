/** Stands in for the task that embeds a file: what it does is what the file's title says. */
import { createRequire } from 'node:module';
import type { EmbedResult, EmbedTask } from '../../actors/indexer/embed-task.ts';

export default function misbehave({ title }: EmbedTask): EmbedResult {
  if (title === 'throw') throw new Error('thrown');
  if (title === 'require') createRequire(import.meta.url)(import.meta.filename);
  if (title === 'exit') process.exit(3);
  while (title === 'hang');
  return [];
}
