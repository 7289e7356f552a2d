/**
 * Histories of calls that several processes made at the same time in one directory, and whether they are linearizable: is
 * there an order of the calls, in which each comes after those that had ended before it began, that explains all answers?
 * The calls are those that Linux itself makes atomic: each works on names in directories that it holds locked.
 */
import { readlinkSync } from 'node:fs';
import { EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR } from '../../runtime/errno.ts';

/** Names that are contended. `SOURCE` is a file of its own that always exists, and of which there may be more names. */
export const NAMES = ['a', 'b', 'in/a', 'in/b'] as const;
export type Name = (typeof NAMES)[number];
export const SOURCE = 'source';

export type Call =
  | { readonly kind: 'make'; readonly name: Name; readonly id: string }
  | { readonly kind: 'link' | 'mkdir' | 'unlink' | 'rmdir' | 'look'; readonly name: Name }
  | { readonly kind: 'rename' | 'noreplace' | 'exchange'; readonly name: Name; readonly to: Name };

/** 0, −errno, or what a symlink leads to. */
export type Answer = number | string;

export interface Event {
  readonly call: Call;
  readonly answer: Answer;
  /** Of one clock, that all processes have. */
  readonly from: number;
  readonly to: number;
}

/** CLOCK_MONOTONIC, which all processes share; ms. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Where the symlink at `path` leads to, or −errno. */
export function look(path: string): Answer {
  try {
    return readlinkSync(path);
  } catch (error) {
    return (error as NodeJS.ErrnoException).errno!;
  }
}

/** What is at a name: the target of a symlink, or DIRECTORY. */
export type State = ReadonlyMap<Name, string>;
export const DIRECTORY = '/';

/** What the call answers in `state`, and the state after it. */
export function run(state: State, call: Call): [Answer, State] {
  const there = state.get(call.name);
  switch (call.kind) {
    case 'make':
      return there === undefined ? [0, put(state, call.name, call.id)] : [-EEXIST, state];
    case 'link':
      return there === undefined ? [0, put(state, call.name, SOURCE)] : [-EEXIST, state];
    case 'mkdir':
      return there === undefined ? [0, put(state, call.name, DIRECTORY)] : [-EEXIST, state];
    case 'look':
      if (there === undefined) return [-ENOENT, state];
      return [there === DIRECTORY ? -EINVAL : there, state];
    case 'unlink':
      if (there === undefined) return [-ENOENT, state];
      return there === DIRECTORY ? [-EISDIR, state] : [0, put(state, call.name, undefined)];
    case 'rmdir':
      if (there === undefined) return [-ENOENT, state];
      return there === DIRECTORY ? [0, put(state, call.name, undefined)] : [-ENOTDIR, state];
    default:
      return move(state, call.kind, call.name, call.to);
  }
}

function move(
  state: State,
  kind: 'rename' | 'noreplace' | 'exchange',
  name: Name,
  to: Name,
): [Answer, State] {
  const [moved, victim] = [state.get(name), state.get(to)];
  if (moved === undefined) return [-ENOENT, state];
  if (kind === 'noreplace' && victim !== undefined) return [-EEXIST, state];
  if (kind === 'exchange') {
    if (victim === undefined) return [-ENOENT, state];
    return [0, put(put(state, name, victim), to, moved)];
  }
  // Two names of one file stay.
  const isSame = name === to || (moved === victim && moved === SOURCE);
  if (isSame) return [0, state];
  if (victim !== undefined && (moved === DIRECTORY) !== (victim === DIRECTORY)) {
    return [moved === DIRECTORY ? -ENOTDIR : -EISDIR, state];
  }
  return [0, put(put(state, name, undefined), to, moved)];
}

function put(state: State, name: Name, what: string | undefined): State {
  const next = new Map(state);
  if (what === undefined) next.delete(name);
  else next.set(name, what);
  return next;
}

/** Whether some order explains the events, from an empty directory to `final`. */
export function isLinearizable(events: readonly Event[], final: State): boolean {
  const failed = new Set<string>();
  const wanted = keyOf(final);
  const all = 2 ** events.length - 1;
  const search = (done: number, state: State): boolean => {
    const key = keyOf(state);
    if (done === all) return key === wanted;
    const place = `${done} ${key}`;
    if (failed.has(place)) return false;
    const left = events.map((_, i) => i).filter((i) => (done & (1 << i)) === 0);
    const firstEnd = Math.min(...left.map((i) => events[i]!.to));
    for (const i of left) {
      const { call, answer, from } = events[i]!;
      if (from > firstEnd) continue;
      const [expected, next] = run(state, call);
      if (expected === answer && search(done | (1 << i), next)) return true;
    }
    failed.add(place);
    return false;
  };
  return search(0, new Map());
}

function keyOf(state: State): string {
  return NAMES.map((name) => state.get(name) ?? '').join(' ');
}
