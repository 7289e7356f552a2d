import type { VirtualText } from '../fuse/virtual/texts.ts';
import { printConfig } from '../runtime/config/print.ts';
import { peekMailbox, peekMessages } from '../runtime/messaging/mailbox.ts';
import type { Context } from './context.ts';
import { describeMessage, withoutText } from './describe-message.ts';
import { isPresent, presenceChangedAt } from './presence.ts';
import { TRACES } from './regions.ts';
import { actorStatus, takeSnapshot } from './status.ts';
import { type ActorPlan, mailboxRegion } from './topology.ts';
import { EVENT_NAMES, readTrace } from './trace.ts';

/** The texts of `.vexfs`: made from shared memory by whichever thread is asked for one. */
export function virtualText(context: Context): VirtualText {
  return {
    list: () => context.topology.actors.map((actor) => (isPresent(context.arena, actor) ? actor.name : '')),
    hasQueries: !context.settings.config.fuse.writeback,
    changedAt: () => presenceChangedAt(context),
    text(path) {
      if (path === 'stats') return json(takeSnapshot(context));
      if (path === 'config') return printConfig(context.settings.declared, context.settings.config);
      const [, name = '', what] = path.split('/');
      const actor = context.topology.find(name);
      if (!actor || !isPresent(context.arena, actor)) return undefined;
      if (what === 'state') return json(actorStatus(context, actor));
      if (what === 'messages') return json(waitingMessages(context, actor));
      if (what === 'trace') return traceTable(context, actor);
      return what === 'mailbox' ? mailboxTable(context, actor) : undefined;
    },
  };
}

/** Messages shown of each lane, and bytes of each that are looked at. */
const MESSAGES_SHOWN = 32;
const BYTES_PEEKED = 64;

/** What waits, without what was typed: whoever may read the mount may read this, but not everybody's questions. */
function waitingMessages({ arena }: Context, actor: ActorPlan): object[] {
  const region = arena.region(mailboxRegion(actor.name));
  return peekMessages(region, MESSAGES_SHOWN, BYTES_PEEKED).map(({ lane, kind, bytes, length }) => ({
    from: actor.senders[lane] ?? '?',
    ...withoutText(describeMessage(kind, bytes, length)),
  }));
}

/** One line per event, oldest first: when (µs since the epoch), what, of which request. */
function traceTable({ arena }: Context, { slot }: ActorPlan): string {
  const rows = readTrace(arena.region(TRACES), slot).map(({ at, event, lo, hi, word }) =>
    [Math.round(at), EVENT_NAMES[event] ?? event, ((BigInt(hi) << 32n) | BigInt(lo)).toString(), word].join(
      '\t',
    ),
  );
  return `${['at-us\tevent\trequest\tdetail', ...rows].join('\n')}\n`;
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
