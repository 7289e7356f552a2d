/**
 * A thread that dies in the middle of a request, at every step of it: what another one makes of it.
 *
 * A request is run with the shared memory, the disk and the kernel copied at each step, which is what a death at that
 * step leaves. Each copy is given to a successor.
 */
import { H_MUTEX, H_NEXT_OBJECT, I_LOOKUPS, INODE_WORDS } from '../../fuse/namespace/layout.ts';
import { hasPublished } from '../../fuse/namespace/namespace.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import { BODY } from '../../fuse/protocol/reply.ts';
import { IDLE, PUBLISHING } from '../../fuse/session/flight.ts';
import type { Resumed } from '../../fuse/session/server.ts';
import { KIB, MIB } from '../../runtime/config/bounds.ts';
import type { Region } from '../../runtime/memory/arena.ts';
import { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import { FaultyDisk } from '../storage/faulty-disk.ts';
import type { Answer } from './encoding.ts';
import type { Handed } from './handed.ts';
import { Harness } from './harness.ts';

const OPTIONS = {
  slabBytes: 4 * MIB,
  journalBytes: 256 * KIB,
  maxInodes: 128,
  inlineLimit: 4 * KIB,
  backing: { open: () => 1, close: () => {} },
};

/** What a death at a step leaves to others. */
export interface Remains {
  readonly step: string;
  readonly buffer: SharedArrayBuffer;
  readonly disk: FaultyDisk;
  /** Whether the kernel has the answer already. */
  readonly isAnswered: boolean;
}

/** A filesystem after a request: what can be seen of it, and what the kernel is counted to know. */
export interface Outcome {
  readonly tree: string;
  readonly lookups: readonly number[];
  /** How often the kernel is counted to have files open. */
  readonly opens: readonly number[];
}

export interface Scenario<T> {
  readonly prepare: (harness: Harness) => T;
  /** Its last request is the one under test. */
  readonly request: (harness: Harness, prepared: T) => unknown;
}

export interface Run {
  readonly answer: Answer;
  readonly outcome: Outcome;
  readonly handed: Handed;
  readonly remains: readonly Remains[];
}

export interface Recovered {
  readonly resumed: Resumed;
  /** The one answer that the kernel took, whoever sent it. */
  readonly answer: Answer;
  readonly outcome: Outcome;
  readonly handed: Handed;
}

function copied(buffer: SharedArrayBuffer): SharedArrayBuffer {
  const copy = new SharedArrayBuffer(buffer.byteLength);
  new Uint8Array(copy).set(new Uint8Array(buffer));
  return copy;
}

/** Runs the request undisturbed, and keeps what a death at each step would have left. */
export function run<T>({ prepare, request }: Scenario<T>): Run {
  const disk = new FaultyDisk();
  const harness = new Harness({ ...OPTIONS, disk });
  const prepared = prepare(harness);
  const remains: Remains[] = [];
  let isAnswered = false;
  const keep = (step: string): void => {
    if (step === 'received') {
      remains.length = 0;
      isAnswered = false;
    }
    if (step === 'answered') isAnswered = true;
    remains.push({ step, buffer: copied(harness.arena.buffer), disk: disk.kill(), isAnswered });
  };
  watchSteps(harness, keep);
  const handedBefore = harness.handed;
  let answer: Answer = { error: undefined, body: Buffer.alloc(0) };
  const raw = harness.raw.bind(harness);
  harness.raw = (length) => {
    answer = raw(length);
    return answer;
  };
  request(harness, prepared);
  harness.onStep = () => {};
  return { answer, outcome: outcomeOf(harness), handed: handedBefore, remains: decided(remains) };
}

/** Beside the steps that the harness tells of: those at which something is counted or handed over. */
function watchSteps(harness: Harness, keep: (step: string) => void): void {
  harness.onStep = keep;
  const { namespace, flight, handed } = harness;
  const addLookup = namespace.addLookup.bind(namespace);
  namespace.addLookup = (ino, n) => {
    addLookup(ino, n);
    keep('counted, not noted');
  };
  const forget = namespace.forget.bind(namespace);
  namespace.forget = (ino, n) => {
    keep('noted, not given back');
    const freed = forget(ino, n);
    keep('given back');
    return freed;
  };
  const { passed } = harness.content;
  const openFile = passed!.open.bind(passed);
  passed!.open = (ino, writes) => {
    const flags = openFile(ino, writes);
    keep('counted, not noted');
    return flags;
  };
  const counted = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(flight), 'counted')!;
  Object.defineProperty(flight, 'counted', {
    get: () => counted.get!.call(flight),
    set(value) {
      counted.set!.call(flight, value);
      if (value >= BODY) keep('noted');
    },
  });
  const sync = handed.sync.bind(handed);
  handed.sync = (...request) => {
    const isPosted = sync(...request);
    keep('posted');
    return isPosted;
  };
}

/**
 * A death in the very moment of publishing: main says whether the journal has the change. Where it has not, io makes the
 * tables anew from the journal, so they are as the request found them.
 */
function decided(remains: readonly Remains[]): Remains[] {
  const before = remains[0]!;
  return remains.map((one) => {
    if (one.step !== 'publishing' && one.step !== 'published, not noted') return one;
    const { arena, flight } = over(one.buffer);
    if (flight.phase !== PUBLISHING) throw new Error('the flight says nothing of a publication');
    const isPublished = hasPublished(arena, new JournalWriter(arena.region('journal')));
    flight.decide(isPublished);
    if (isPublished) return one;
    const buffer = copied(before.buffer);
    keepOverRebuild(one.buffer, buffer);
    return { ...one, buffer, step: 'publishing, and the tables were made anew' };
  });
}

function over(buffer: SharedArrayBuffer): Harness {
  return new Harness({ ...OPTIONS, over: buffer, disk: new FaultyDisk() });
}

function locate(buffer: SharedArrayBuffer, name: string): Region {
  return over(buffer).arena.region(name);
}

/** What a death leaves and tables made anew do not change. An object's number is never used twice. */
function keepOverRebuild(from: SharedArrayBuffer, to: SharedArrayBuffer): void {
  for (const name of ['flights', 'open-files', 'passed-rows']) locate(to, name).u8.set(locate(from, name).u8);
  locate(to, 'namespace').u32[H_NEXT_OBJECT] = locate(from, 'namespace').u32[H_NEXT_OBJECT]!;
}

/** A successor over what a death left; it has brought the request to an end. */
export function recover(run: Run, { buffer, disk, isAnswered }: Remains): Recovered {
  const memory = copied(buffer);
  let isOpen = !isAnswered;
  const options = { ...OPTIONS, over: memory, disk: disk.kill() };
  const harness = new Harness({
    ...options,
    waitsFor: () => {
      const waits = isOpen;
      isOpen = false;
      return waits;
    },
  });
  // As main does for locks whose holder has died.
  harness.arena.region('namespace').i32.fill(0, H_MUTEX, H_MUTEX + 3);
  harness.arena.region('data-locks').i32.fill(0);
  const { resumed, ...answer } = harness.resume();
  if (harness.failures.length > 0) throw harness.failures[0];
  if (harness.flight.phase !== IDLE || harness.flight.length !== 0) throw new Error('it is still at it');
  return {
    resumed,
    answer: isAnswered ? run.answer : answer,
    outcome: outcomeOf(harness),
    handed: harness.handed,
  };
}

export const mayLeak = ({ step }: Remains): boolean =>
  step === 'counted, not noted' || step === 'noted, not given back';

/** The words of the flight in the memory of a harness. */
export function flightWords(buffer: SharedArrayBuffer): Uint32Array {
  return locate(buffer, 'flights').u32;
}

function outcomeOf(harness: Harness): Outcome {
  const { namespace, arena } = harness;
  const lines: string[] = [];
  const attr = new Attr();
  const visit = (ino: number, path: string): void => {
    harness.content.passed?.refresh(ino);
    namespace.stat(ino, attr);
    const { mode, nlink, size, uid, gid, mtime, rdev } = attr;
    const xattrs = xattrsOf(harness, ino);
    const data = (mode & 0o170000) === 0o100000 ? contentOf(harness, ino, size) : '';
    lines.push(
      `${path} ${ino} ${mode.toString(8)} ${nlink} ${size} ${uid}:${gid} ${mtime} ${rdev} ${xattrs} ${data}`,
    );
    if ((mode & 0o170000) !== 0o040000) return;
    for (const { name, child } of childrenOf(harness, ino)) visit(child, `${path}/${name}`);
  };
  visit(1, '');
  const { u32 } = arena.region('inodes');
  const lookups = Array.from({ length: 64 }, (_, ino) => u32[ino * INODE_WORDS + I_LOOKUPS]!);
  const open = arena.region('open-files').u32;
  const opens = Array.from({ length: 64 }, (_, ino) => open[2 * ino]!);
  return { tree: lines.sort().join('\n'), lookups, opens };
}

function childrenOf({ namespace, operations }: Harness, ino: number): { name: string; child: number }[] {
  const { entry } = operations.context;
  const children: { name: string; child: number }[] = [];
  let [lo, hi] = [0, 0];
  while (namespace.readdir(ino, lo, hi, entry)) {
    const name = Buffer.from(entry.name.subarray(0, entry.nameLength)).toString();
    if (name !== '.' && name !== '..') children.push({ name, child: entry.ino });
    [lo, hi] = [entry.cookieLo, entry.cookieHi];
  }
  return children;
}

function contentOf({ operations }: Harness, ino: number, size: number): string {
  const bytes = Buffer.alloc(size);
  const read = operations.context.content.read(ino, 0, size, bytes, 0);
  return `${read} ${bytes.toString('latin1').replace(/(.)\1{7,}/gs, (run, byte) => `${byte}×${run.length}`)}`;
}

function xattrsOf({ namespace }: Harness, ino: number): string {
  const names = Buffer.alloc(4096);
  const bytes = namespace.listxattr(ino, names, 0, names.length);
  const value = Buffer.alloc(4096);
  return names
    .subarray(0, Math.max(bytes, 0))
    .toString()
    .split('\0')
    .filter((name) => name !== '')
    .map((name) => {
      const u8 = Buffer.from(name);
      const length = namespace.getxattr(ino, u8, 0, u8.length, value, 0, value.length);
      return `${name}=${value.subarray(0, length).toString('hex')}`;
    })
    .sort()
    .join();
}
