/** What the console's commands answer, as lines for people. */
import { roundSize } from '../runtime/config/size.ts';
import { placementTable } from './placement-table.ts';
import type {
  ActorRow,
  GateAnswer,
  LockView,
  MailboxView,
  MemoryAudit,
  PlacementPlan,
  PoolStatus,
  RingView,
  ShardRow,
  StealRow,
  TailBatch,
  TracedRequest,
  TraceStep,
} from './protocol.ts';
import { grouped, latency, plural, style, table, withHeader } from './terminal.ts';

/** "ready", or in what way it is not. */
export function actorState({ state, gate }: Pick<ActorRow, 'state' | 'gate'>): string {
  if (gate !== 'open') return style('yellow', gate === 'closed' ? 'paused' : `paused, ${gate}`);
  return style(state === 'ready' || state === 'busy' ? 'green' : 'red', state);
}

export function showActors(rows: readonly ActorRow[]): string[] {
  const cells = rows.map((row) => [
    row.name,
    actorState(row),
    grouped(row.restarts),
    row.cpu.toFixed(1),
    row.core < 0 ? '' : String(row.core),
    grouped(row.messagesPerSecond),
    grouped(row.requestsPerSecond),
    grouped(row.waiting),
    `${grouped(row.heartbeatAgeMs)} ms`,
    String(row.thread),
  ]);
  const header = [
    'ACTOR',
    'STATE',
    'RESTARTS',
    'CPU %',
    'CORE',
    'MSG/S',
    'REQ/S',
    'WAITING',
    'BEAT',
    'THREAD',
  ];
  return withHeader(header, cells, [2, 3, 4, 5, 6, 7, 8, 9]);
}

function fieldsOf(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(
      ([name, value]) =>
        `${style('dim', `${name}=`)}${typeof value === 'string' ? value : JSON.stringify(value)}`,
    )
    .join(' ');
}

export function showMailbox(box: MailboxView): string[] {
  const oldest = box.depth === 0 ? '' : `, the oldest for at most ${grouped(box.oldestAtMostMs)} ms`;
  const lanes = box.lanes.map(({ from, waiting, sent, received, usedBytes, capacity }) => [
    from,
    grouped(waiting),
    grouped(sent),
    grouped(received),
    `${roundSize(usedBytes)} of ${roundSize(capacity)}`,
  ]);
  const next = box.next.map(({ from, kind, length, fields }) => [
    from,
    style('cyan', kind),
    grouped(length),
    fieldsOf(fields),
  ]);
  const lines = [`${plural(box.depth, 'message')} waiting for ${box.actor}${oldest}`, ''];
  lines.push(...withHeader(['FROM', 'WAITING', 'SENT', 'RECEIVED', 'USED'], lanes, [1, 2, 3, 4]));
  if (next.length > 0) lines.push('', ...withHeader(['FROM', 'NEXT', 'BYTES', 'CARRIES'], next, [2]));
  return lines;
}

export function showTail({ messages }: TailBatch): string[] {
  return messages.map(
    ({ at, from, kind, length, fields }) =>
      `${style('dim', at.slice(11, 23))} ${from} ${style('cyan', kind)} ${length} B ${fieldsOf(fields)}`,
  );
}

export function showTrace(answer: TracedRequest[] | TraceStep[] | { readonly tracing: string }): string[] {
  if ('tracing' in answer) return [`traced is ${answer.tracing}`];
  if (answer.length === 0) return ['nothing is traced yet; "trace on" traces every request'];
  return 'request' in answer[0]! ? showRequests(answer as TracedRequest[]) : showSteps(answer as TraceStep[]);
}

function showRequests(requests: readonly TracedRequest[]): string[] {
  const rows = requests.map(({ request, opcode, at, us, actors, replied }) => [
    request,
    opcode,
    at.slice(11, 23),
    replied ? latency(us) : style('yellow', 'open'),
    actors.join(' → '),
  ]);
  return withHeader(['REQUEST', 'OPCODE', 'AT', 'TOOK', 'ACTORS'], rows, [0, 3]);
}

function showSteps(steps: readonly TraceStep[]): string[] {
  const rows = steps.map(({ us, actor, event, detail }, i) => [
    `+${us.toFixed(1)} µs`,
    i === 0 ? '' : latency(Math.max(0, us - steps[i - 1]!.us)),
    actor,
    event,
    style('cyan', detail),
  ]);
  return withHeader(['SINCE', 'STEP', 'ACTOR', 'EVENT', ''], rows, [0, 1]);
}

export function showRings(rings: readonly RingView[]): string[] {
  const rows = rings.map(({ ring, waiting, usedBytes, capacity, sent }) => [
    ring,
    grouped(waiting),
    roundSize(usedBytes),
    roundSize(capacity),
    `${((100 * usedBytes) / capacity).toFixed(1)} %`,
    grouped(sent),
  ]);
  return withHeader(['RING', 'WAITING', 'USED', 'CAPACITY', 'FULL', 'SENT'], rows, [1, 2, 3, 4, 5]);
}

/** The figures, what the blocks are for, and the size classes. */
export function showPool({ classes, tags, suspected, hitRate, ...figures }: PoolStatus): string[] {
  const lines = showFacts({ ...figures, hitRate: `${(100 * hitRate).toFixed(1)} %` });
  const uses = tags.map(({ tag, blocks, bytes, oldestMinutes }) => [
    tag,
    grouped(blocks),
    roundSize(bytes),
    `${grouped(oldestMinutes)} min`,
  ]);
  if (uses.length > 0) lines.push('', ...withHeader(['FOR', 'BLOCKS', 'BYTES', 'OLDEST'], uses, [1, 2, 3]));
  const rows = classes.map(({ blockBytes, used, free, spans }) => [
    roundSize(blockBytes),
    grouped(used),
    grouped(free),
    grouped(spans),
  ]);
  if (rows.length > 0) lines.push('', ...withHeader(['BLOCK', 'USED', 'FREE', 'SPANS'], rows, [0, 1, 2, 3]));
  const suspects = suspected.map(({ handle, tag, actor, ageMinutes }) => [
    String(handle),
    tag,
    actor,
    `${grouped(ageMinutes)} min`,
  ]);
  if (suspects.length > 0)
    lines.push('', ...withHeader(['SUSPECT', 'FOR', 'ACTOR', 'AGE'], suspects, [0, 3]));
  return lines;
}

/** Blocks that are not where they should be. */
export function showAudit({ blocks, lost, dangling, doubled }: MemoryAudit): string[] {
  const strays = Object.entries({ lost, dangling, doubled }).flatMap(([what, found]) =>
    found.map(({ handle, bytes, tag, actor }) => [what, String(handle), roundSize(bytes), tag, actor]),
  );
  const summary = `${plural(blocks, 'block')} looked at, ${plural(strays.length, 'stray')}`;
  return strays.length === 0
    ? [summary]
    : [summary, '', ...withHeader(['WHAT', 'BLOCK', 'BYTES', 'FOR', 'ACTOR'], strays, [1, 2])];
}

/** One fact a line. */
export function showFacts(facts: Readonly<Record<string, unknown>>): string[] {
  return table(Object.entries(facts).map(([name, value]) => [style('bold', name), shown(name, value)]));
}

function shown(name: string, value: unknown): string {
  if (typeof value !== 'number') return typeof value === 'string' ? value : JSON.stringify(value);
  return /bytes|highWater|^heap|^slab/i.test(name)
    ? `${grouped(value)} (${roundSize(value)})`
    : grouped(value);
}

export function showLocks(locks: readonly LockView[]): string[] {
  const rows = locks.map(({ lock, holder, contended, parks, note }) => [
    lock,
    holder === '' ? style('dim', 'free') : holder,
    contended ? 'yes' : '',
    grouped(parks),
    note ?? '',
  ]);
  return withHeader(['LOCK', 'HOLDER', 'WAITED FOR', 'PARKED', ''], rows, [3]);
}

/** What is left to move is only shown where something is. */
export function showShards(shards: readonly ShardRow[]): string[] {
  const isMoving = shards.some(({ moving }) => Number(moving) > 0);
  const rows = shards.map((shard) => [
    shard.name,
    shard.engine,
    grouped(shard.vectors),
    grouped(shard.chunks),
    grouped(shard.tail),
    grouped(shard.searches),
    grouped(shard.searchesPerSecond),
    ...(isMoving ? [grouped(Number(shard.moving))] : []),
  ]);
  const header = ['SHARD', 'ENGINE', 'VECTORS', 'PASSAGES', 'TAIL', 'SEARCHES', 'PER S'];
  return withHeader([...header, ...(isMoving ? ['LEFT'] : [])], rows, [2, 3, 4, 5, 6, 7]);
}

export function showSteal(rows: readonly StealRow[]): string[] {
  const cells = rows.map(({ actor, isIdle, waiting, posted, run, stolen, givenBack, takenOver }) => [
    actor,
    ...[waiting, posted, run, stolen, givenBack, takenOver].map(grouped),
    isIdle ? 'waits for tasks' : '',
  ]);
  const header = ['SHARD', 'QUEUED', 'POSTED', 'DONE', 'STOLEN', 'RETURNED', 'TAKEN OVER', ''];
  return withHeader(header, cells, [1, 2, 3, 4, 5, 6]);
}

export function showPlacement({ mode, actors, notes }: PlacementPlan): string[] {
  return [`placement.mode is "${mode}"`, ...notes, '', ...placementTable('ACTOR', actors)];
}

/** Rows of whatever columns they have. */
export function showRows(rows: readonly Readonly<Record<string, unknown>>[], none: string): string[] {
  if (rows.length === 0) return [none];
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = rows.map((row) =>
    columns.map((column) => {
      const value = row[column];
      return value === undefined ? '' : typeof value === 'number' ? grouped(value) : String(value);
    }),
  );
  const right = columns.flatMap((column, i) => (typeof rows[0]![column] === 'number' ? [i] : []));
  return withHeader(
    columns.map((column) => column.toUpperCase()),
    cells,
    right,
  );
}

export function showGate({ actor, gate, taken }: GateAnswer & { readonly taken?: number }): string[] {
  const state = gate === 'open' ? 'goes on' : gate === 'closed' ? 'is paused' : `waits; it may take ${gate}`;
  return [taken === undefined ? `${actor} ${state}` : `${actor} took ${taken}, and ${state}`];
}
