/** The way of requests through the actors, put together from every actor's own trace. */
import { opcodeName } from '../../fuse/protocol/abi.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { Context } from '../context.ts';
import { kindName } from '../describe-message.ts';
import { TRACES } from '../regions.ts';
import {
  DURABLE,
  EVENT_NAMES,
  HANDED_OVER,
  HITS_TAKEN,
  LOG_WRITTEN,
  RECEIVED,
  REPLIED,
  readTrace,
  SEARCHED,
  SHARDS_ASKED,
  TAKEN,
  type TraceEvent,
} from '../trace.ts';
import { round } from './console-sampler.ts';

export interface Traced extends TraceEvent {
  readonly actor: string;
}

export interface TracedRequest {
  /** FUSE's unique id. */
  readonly request: string;
  readonly opcode: string;
  /** ISO 8601. */
  readonly at: string;
  /** Microseconds from the first event to the last. */
  readonly us: number;
  readonly actors: readonly string[];
  readonly replied: boolean;
}

export interface TraceStep {
  /** Microseconds since the request was received. */
  readonly us: number;
  readonly actor: string;
  readonly event: string;
  readonly detail: string;
}

/**
 * What all actors remember, oldest first. One is read after the other, so what came after the first was begun with is left
 * out: of a request that went through two of them, only half would be seen.
 */
export function readTraces({ arena, topology }: Context): Traced[] {
  const now = (performance.timeOrigin + performance.now()) * 1000;
  return topology.actors
    .flatMap(({ name, slot }) =>
      readTrace(arena.region(TRACES), slot).map((event) => ({ ...event, actor: name })),
    )
    .filter(({ at }) => at <= now)
    .sort((a, b) => a.at - b.at);
}

/** Events that carry FUSE's unique; the others carry a search's id, or nothing. */
function isOfRequest({ event, lo, hi, word }: Traced): boolean {
  if (event === LOG_WRITTEN || event === DURABLE || event === SEARCHED || event === HITS_TAKEN) return false;
  return !(event === TAKEN && kindName(word) === 'SEARCH') && (lo !== 0 || hi !== 0);
}

const idOf = ({ lo, hi }: Traced): string => ((BigInt(hi) << 32n) | BigInt(lo)).toString();

/** The latest `most` requests among the events, newest first. */
export function recentRequests(all: readonly Traced[], most: number): TracedRequest[] {
  const requests = new Map<string, Traced[]>();
  for (const event of all) {
    if (!isOfRequest(event)) continue;
    const id = idOf(event);
    const events = requests.get(id);
    if (events) events.push(event);
    else requests.set(id, [event]);
  }
  return [...requests]
    .map(([request, events]) => summary(request, events))
    .sort((a, b) => (a.at < b.at ? 1 : -1))
    .slice(0, most);
}

function summary(request: string, events: readonly Traced[]): TracedRequest {
  const received = events.find(({ event }) => event === RECEIVED);
  const [first, last] = [events[0]!, events.at(-1)!];
  return {
    request,
    opcode: received ? opcodeName(received.word) : '?',
    at: new Date(first.at / 1000).toISOString(),
    us: round(last.at - first.at),
    actors: [...new Set(events.map(({ actor }) => actor))],
    replied: events.some(({ event }) => event === REPLIED),
  };
}

/** @throws {UserError} no actor remembers the request. */
export function traceOf(all: readonly Traced[], request: string): TraceStep[] {
  const own = all.filter((event) => isOfRequest(event) && idOf(event) === request);
  const first = own[0];
  if (first === undefined) {
    const advice = 'only the latest are kept, and those answered at once only after "trace on"';
    throw new UserError(`no actor remembers the request ${request}: ${advice}`);
  }
  const searches = new Set(own.filter(({ event }) => event === SHARDS_ASKED).map(({ word }) => word));
  const events = [...own, ...all.filter((event) => isOnBehalf(event, own, searches))];
  events.sort((a, b) => a.at - b.at);
  return events.map((event) => ({
    us: round(event.at - first.at),
    actor: event.actor,
    event: EVENT_NAMES[event.event] ?? `event ${event.event}`,
    detail: detailOf(event),
  }));
}

/** Whether an event that names no request belongs to this one: a shard's, or a commit that it waited for. */
function isOnBehalf(event: Traced, own: readonly Traced[], searches: ReadonlySet<number>): boolean {
  if (isOfRequest(event)) return false;
  if (event.event !== LOG_WRITTEN && event.event !== DURABLE) return searches.has(event.lo);
  // Whoever answers has made the commit: io-0, which took the fsync in, or the fuse actor that put it off.
  const replied = own.find(({ event: what }) => what === REPLIED);
  if (replied?.actor !== event.actor) return false;
  const waits =
    own.findLast(({ event: what }) => what === TAKEN) ?? own.find(({ event: what }) => what === HANDED_OVER);
  return waits !== undefined && event.at >= waits.at && event.at <= replied.at;
}

function detailOf({ event, word }: Traced): string {
  switch (event) {
    case RECEIVED:
      return opcodeName(word);
    case HANDED_OVER:
    case TAKEN:
      return kindName(word);
    case SHARDS_ASKED:
      return `search ${word}`;
    case SEARCHED:
    case HITS_TAKEN:
      return `${word} hits`;
    case REPLIED:
      return word === 0 ? 'ok' : `errno ${word}`;
    default:
      return '';
  }
}
