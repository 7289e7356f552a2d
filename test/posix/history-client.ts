/** A process that makes calls when told to, at the same moment as others, and says what it was answered and when. */
import { join } from 'node:path';
import * as c from './calls.ts';
import { type Answer, type Call, type Event, look, now, SOURCE } from './history.ts';

export interface Order {
  readonly directory: string;
  readonly calls: readonly Call[];
  /** When to begin, ms of {@link now}. */
  readonly at: number;
}

function answerTo(directory: string, call: Call): Answer {
  const path = join(directory, call.name);
  switch (call.kind) {
    case 'make':
      return c.symlink(call.id, path);
    case 'link':
      return c.link(join(directory, SOURCE), path);
    case 'mkdir':
      return c.mkdir(path, 0o755);
    case 'unlink':
      return c.unlink(path);
    case 'rmdir':
      return c.rmdir(path);
    case 'look':
      return look(path);
    case 'rename':
      return c.rename(path, join(directory, call.to));
    case 'noreplace':
      return c.renameWith(path, join(directory, call.to), c.RENAME_NOREPLACE);
    case 'exchange':
      return c.renameWith(path, join(directory, call.to), c.RENAME_EXCHANGE);
  }
}

process.on('message', ({ directory, calls, at }: Order) => {
  while (now() < at);
  const events: Event[] = [];
  for (const call of calls) {
    const from = now();
    const answer = answerTo(directory, call);
    events.push({ call, answer, from, to: now() });
  }
  process.send!(events);
});
