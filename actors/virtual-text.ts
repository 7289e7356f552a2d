import type { VirtualText } from '../fuse/virtual/texts.ts';
import { printConfig } from '../runtime/config/print.ts';
import { peekMailbox } from '../runtime/messaging/mailbox.ts';
import type { Context } from './context.ts';
import { actorStatus, takeSnapshot } from './status.ts';
import { type ActorPlan, mailboxRegion } from './topology.ts';

/** The texts of `.vexfs`: made from shared memory by whichever thread is asked for one. */
export function virtualText(context: Context): VirtualText {
  const names = context.topology.actors.map(({ name }) => name);
  return {
    list: () => names,
    text(path) {
      if (path === 'stats') return json(takeSnapshot(context));
      if (path === 'config') return printConfig(context.settings.config);
      const [, name = '', what] = path.split('/');
      const actor = context.topology.find(name);
      if (!actor) return undefined;
      if (what === 'state') return json(actorStatus(context, actor));
      return what === 'mailbox' ? mailboxTable(context, actor) : undefined;
    },
  };
}

/** One line per lane: who sends, how many messages were sent and received, how many wait and for how long. */
function mailboxTable(context: Context, actor: ActorPlan): string {
  const lanes = peekMailbox(context.arena.region(mailboxRegion(actor.name)));
  const rows = lanes.map(({ sent, received, depth, waitedAtMost }, lane) =>
    [actor.senders[lane] ?? '?', sent, received, depth, waitedAtMost].join('\t'),
  );
  return `${['from\tsent\treceived\twaiting\twaiting-ms', ...rows].join('\n')}\n`;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
