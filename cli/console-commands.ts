/** The console's commands: how each is typed, completed, asked for over the control socket, and shown. */

import { guess } from '../runtime/nearest-name.ts';
import { UserError } from '../runtime/user-error.ts';
import { describeReport } from './checkpoint.ts';
import type { CallOptions, ControlClient } from './client.ts';
import {
  showActors,
  showAudit,
  showFacts,
  showGate,
  showLocks,
  showMailbox,
  showPlacement,
  showPool,
  showRings,
  showRows,
  showShards,
  showSteal,
  showTail,
  showTrace,
} from './console-views.ts';
import type { Methods, TailBatch } from './protocol.ts';
import { describeReload } from './reload-report.ts';
import { describeStatus } from './status.ts';

/** A command that was not understood: exit code 2. */
export class ConsoleUsage extends UserError {
  override name = 'ConsoleUsage';
}

/** What a word of a command can be. */
export type WordKind = 'actor' | 'kind' | 'level' | 'fault' | 'switch' | 'command';

export const FAULTS = ['crash', 'hang', 'memory', 'end'];
export const SWITCHES = ['on', 'off'];

export interface ConsoleCommand {
  /** As typed; words in brackets may be left out. */
  readonly usage: string;
  readonly about: string;
  /** What follows the name, for completion; the last one repeats. */
  readonly words: readonly WordKind[];
  /** @throws {ConsoleUsage} */
  ask(client: ControlClient, words: readonly string[], options: CallOptions): Promise<unknown>;
  show(answer: unknown): string[];
  /** It answers piece by piece until it is stopped; `show` is for one piece. */
  readonly streams?: true;
}

const COUNT = /^[1-9]\d{0,6}$/;

function command<M extends keyof Methods>(
  usage: string,
  about: string,
  method: M,
  words: readonly WordKind[],
  params: (words: readonly string[]) => Methods[M]['params'] | undefined,
  show: (answer: Methods[M]['result']) => string[],
): ConsoleCommand {
  return {
    usage,
    about,
    words,
    ask(client, typed, options) {
      const found = params(typed);
      if (found === undefined) throw new ConsoleUsage(`it is used as: ${usage}`);
      return client.call(method, found, options);
    },
    show: (answer) => show(answer as Methods[M]['result']),
  };
}

const none = (words: readonly string[]) => (words.length === 0 ? {} : undefined);
const actorOnly = (words: readonly string[]) => (words.length === 1 ? { actor: words[0]! } : undefined);

/** NAME [COUNT] */
function actorAndCount([actor, count, ...more]: readonly string[]):
  | { actor: string; count?: number }
  | undefined {
  if (actor === undefined || more.length > 0) return undefined;
  if (count === undefined) return { actor };
  return COUNT.test(count) ? { actor, count: Number(count) } : undefined;
}

function traceParams([word, ...more]: readonly string[]): Methods['trace']['params'] | undefined {
  if (word === undefined) return {};
  if (more.length > 0) return undefined;
  if (word === 'on' || word === 'off') return { switch: word };
  return /^\d+$/.test(word) ? { request: word } : undefined;
}

/** NAME [KIND…] [-n COUNT] */
function tailParams(words: readonly string[]): Methods['tail']['params'] | undefined {
  const rest = [...words];
  const at = rest.indexOf('-n');
  const counted = at < 0 ? [] : rest.splice(at, 2);
  const [actor, ...kinds] = rest;
  if (actor === undefined || kinds.some((kind) => kind.startsWith('-'))) return undefined;
  if (counted.length === 0) return { actor, kinds };
  return COUNT.test(counted[1] ?? '') ? { actor, kinds, count: Number(counted[1]) } : undefined;
}

function logParams([level, actor, ...more]: readonly string[]): Methods['log']['params'] | undefined {
  if (level === undefined || more.length > 0) return undefined;
  return actor === undefined ? { level } : { level, actor };
}

function killParams([actor, how, ...more]: readonly string[]): Methods['kill']['params'] | undefined {
  if (actor === undefined || more.length > 0) return undefined;
  return how === undefined ? { actor } : { actor, how };
}

export const COMMANDS: Readonly<Record<string, ConsoleCommand>> = {
  actors: command(
    'actors',
    'every actor: state, restarts, CPU, rates, mailbox, heartbeat',
    'actors',
    [],
    none,
    showActors,
  ),
  status: command('status', 'what "vexfs status" shows', 'status', [], none, describeStatus),
  inspect: command(
    'inspect NAME',
    'what only the actor itself knows',
    'inspect',
    ['actor'],
    actorOnly,
    showFacts,
  ),
  mailbox: command(
    'mailbox NAME [COUNT]',
    'what waits for an actor, and the next messages of each lane, which stay there',
    'mailbox',
    ['actor'],
    actorAndCount,
    showMailbox,
  ),
  tail: {
    ...command(
      'tail NAME [KIND…] [-n COUNT]',
      'the messages an actor takes, as it takes them; Ctrl-C ends it',
      'tail',
      ['actor', 'kind'],
      tailParams,
      showTail,
    ),
    streams: true,
  },
  trace: command(
    'trace [REQUEST|on|off]',
    "recent requests, or one request's way through the actors; on: trace every request",
    'trace',
    ['switch'],
    traceParams,
    showTrace,
  ),
  rings: command(
    'rings',
    'every lane between two actors, and the journal: how full',
    'rings',
    [],
    none,
    showRings,
  ),
  pool: command('pool', 'the shared memory of names and small files', 'pool', [], none, showPool),
  audit: command(
    'audit',
    'whether every block of memory is in one place; worth something in a quiet mount',
    'auditMemory',
    [],
    none,
    showAudit,
  ),
  locks: command(
    'locks',
    'who holds which lock, and how often somebody waited for it',
    'locks',
    [],
    none,
    showLocks,
  ),
  shards: command(
    'shards',
    'the vectors: how many, where, how often searched',
    'shards',
    [],
    none,
    showShards,
  ),
  steal: command(
    'steal',
    'searches as tasks: how many each shard posted, has done, and took from others',
    'steal',
    [],
    none,
    showSteal,
  ),
  placement: command(
    'placement',
    'which actor is kept on which CPUs, at which memory node, and why',
    'placement',
    [],
    none,
    showPlacement,
  ),
  reload: command(
    'reload',
    'read the configuration again: what is live applies, the rest is named',
    'reload',
    [],
    none,
    describeReload,
  ),
  log: command(
    'log LEVEL [NAME]',
    'the least important message that is logged, by all actors or one',
    'log',
    ['level', 'actor'],
    logParams,
    (rows) => showRows(rows, ''),
  ),
  pause: command(
    'pause NAME',
    'stop an actor from taking messages; it stays alive',
    'pause',
    ['actor'],
    actorOnly,
    showGate,
  ),
  resume: command('resume NAME', 'let it go on', 'resume', ['actor'], actorOnly, showGate),
  step: command(
    'step NAME [COUNT]',
    'let a paused actor take COUNT messages (a fuse actor: requests)',
    'step',
    ['actor'],
    actorAndCount,
    showGate,
  ),
  restart: command(
    'restart NAME',
    'end an actor and start it anew; the mount goes on',
    'restart',
    ['actor'],
    actorOnly,
    ({ actor, incarnation }) => [`${actor} was restarted: its thread is number ${incarnation}`],
  ),
  kill: command(
    'kill NAME [crash|hang|memory|end]',
    'a drill: the actor fails in this way',
    'kill',
    ['actor', 'fault'],
    killParams,
    ({ actor, killed }) => [`${actor} was told to fail (${killed})`],
  ),
  checkpoint: command(
    'checkpoint',
    'make a checkpoint of everything written so far; nobody waits for it',
    'checkpoint',
    [],
    none,
    describeReport,
  ),
  dump: command(
    'dump',
    'a bundle for a post-mortem, written into the store',
    'dump',
    [],
    none,
    ({ path, files }) => [`${path}: ${files.join(', ')}`],
  ),
};

/** Commands of the console itself. */
export const OWN_COMMANDS: Readonly<Record<string, { readonly usage: string; readonly about: string }>> = {
  watch: { usage: 'watch [-n SECONDS] COMMAND', about: 'repeat a command every two seconds; Ctrl-C ends it' },
  help: { usage: 'help [COMMAND]', about: 'this list' },
  quit: { usage: 'quit', about: 'leave; Ctrl-D does the same' },
};

/** Words of a line: separated by spaces, with quotes around what contains some. */
export function splitWords(line: string): string[] {
  const words = line.match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
  return words.map((word) => (/^(["']).*\1$/.test(word) && word.length > 1 ? word.slice(1, -1) : word));
}

/** @throws {ConsoleUsage} there is none of that name; the nearest is named. */
export function findCommand(name: string): ConsoleCommand {
  if (Object.hasOwn(COMMANDS, name)) return COMMANDS[name]!;
  const names = [...Object.keys(COMMANDS), ...Object.keys(OWN_COMMANDS)];
  throw new ConsoleUsage(`there is no console command "${name}"; ${guess(name, names)}"help" lists them`);
}

/** A piece of a stream that was sent, and is no answer. */
export function isTailBatch(value: unknown): value is TailBatch {
  return typeof value === 'object' && value !== null && 'messages' in value;
}

export function helpLines(name?: string): { usage: string; about: string }[] {
  const all = { ...COMMANDS, ...OWN_COMMANDS };
  if (name === undefined) return Object.values(all);
  return Object.hasOwn(all, name) ? [all[name]!] : [findCommand(name)];
}
