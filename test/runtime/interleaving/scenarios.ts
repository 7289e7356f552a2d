/** What the explorer runs: small uses of the real shared-memory code, one function per logical thread. */
import { threadId } from 'node:worker_threads';
import { KIB, MIB } from '../../../runtime/config/bounds.ts';
import type { Region } from '../../../runtime/memory/arena.ts';
import { MagazineList, wordOf } from '../../../runtime/memory/magazine-list.ts';
import { UNIT } from '../../../runtime/memory/size-classes.ts';
import { SlabAllocator } from '../../../runtime/memory/slab.ts';
import { auditSlab } from '../../../runtime/memory/slab-audit.ts';
import { SlabCaches, slabCachesBytes } from '../../../runtime/memory/slab-caches.ts';
import { SlabKeeper } from '../../../runtime/memory/slab-keeper.ts';
import { slabTagsBytes } from '../../../runtime/memory/slab-tags.ts';
import { Doorbell } from '../../../runtime/messaging/doorbell.ts';
import { Mailbox, Outbox, planMailbox } from '../../../runtime/messaging/mailbox.ts';
import { RingConsumer, RingProducer, ringBytes } from '../../../runtime/messaging/ring.ts';
import {
  formatJournal,
  JournalReader,
  JournalWriter,
  journalRegionBytes,
} from '../../../runtime/storage/journal-ring.ts';
import { StoreStatus } from '../../../runtime/storage/store-status.ts';
import { Barrier } from '../../../runtime/sync/barrier.ts';
import { Condition } from '../../../runtime/sync/condition.ts';
import { Mutex } from '../../../runtime/sync/mutex.ts';
import { Once } from '../../../runtime/sync/once.ts';
import { Semaphore } from '../../../runtime/sync/semaphore.ts';
import { SequenceLock } from '../../../runtime/sync/sequence-lock.ts';
import { stealing } from './stealing.ts';

export interface Scenario {
  readonly bytes: number;
  /** Each makes what it needs, then returns the part that is interleaved. */
  readonly threads: readonly ((memory: Region) => () => void)[];
  /** This thread may die at each of its steps. */
  readonly mortal?: number;
  /** Runs beside the others once that thread has died; which may then be at any moment. */
  readonly heir?: (memory: Region) => () => void;
  setup(memory: Region): void;
  /** After all threads have ended; throws when the outcome is wrong. `alive`: nobody has died. */
  check(memory: Region, alive: boolean): void;
}

export function memoryOver(buffer: SharedArrayBuffer): Region {
  return {
    name: 'scenario',
    bytes: buffer.byteLength,
    offset: 0,
    u8: new Uint8Array(buffer),
    i32: new Int32Array(buffer),
    u32: new Uint32Array(buffer),
    f64: new Float64Array(buffer),
  };
}

const NO_SPIN = 0;
const nothing = (): void => {};

function expect(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

// Words that scenarios use for themselves, away from what they test.
const FLAG = 64;
const SEEN = 80;

const doorbellOwner =
  (flags: number) =>
  ({ i32 }: Region): (() => void) => {
    const doorbell = new Doorbell(i32, 0, NO_SPIN);
    return () => {
      for (;;) {
        const seen = doorbell.seen();
        let found = 0;
        for (let flag = 0; flag < flags; flag++) found += Atomics.load(i32, FLAG + flag);
        if (found === flags) return;
        doorbell.wait(seen, 1000);
      }
    };
  };

const doorbellRinger =
  (...flags: number[]) =>
  ({ i32 }: Region): (() => void) => {
    const doorbell = new Doorbell(i32, 0, NO_SPIN);
    return () => {
      for (const flag of flags) {
        Atomics.store(i32, FLAG + flag, 1);
        doorbell.ring();
      }
    };
  };

/** The mistake that the doorbell avoids: looking whether the owner sleeps before the sequence is bumped. */
const hastyRinger = ({ i32 }: Region): (() => void) => {
  return () => {
    Atomics.store(i32, FLAG, 1);
    const sleeping = Atomics.load(i32, 1) !== 0;
    Atomics.add(i32, 0, 1);
    if (sleeping) Atomics.notify(i32, 0);
  };
};

const LIST_HEAD = 2;
const magazineList = ({ u32, u8 }: Region): MagazineList =>
  new MagazineList(u32, new BigUint64Array(u8.buffer as SharedArrayBuffer), LIST_HEAD);

/** Every magazine 1 … 3 is in the list or was recorded as taken, once. */
function checkNothingLostOrDoubled(memory: Region): void {
  const found: number[] = [];
  for (let handle = memory.u32[LIST_HEAD]!; handle !== 0; handle = memory.u32[wordOf(handle) + 2]!) {
    found.push(handle);
    expect(found.length <= 3, 'the list is a circle');
  }
  for (let i = 0; i < 3; i++) if (memory.u32[SEEN + i] !== 0) found.push(memory.u32[SEEN + i]!);
  expect(found.sort().join() === '1,2,3', `magazines are lost or doubled: ${found.join()}`);
}

function fillList(memory: Region): void {
  const list = magazineList(memory);
  for (const handle of [3, 2, 1]) list.push(handle);
}

const popOne = (memory: Region): (() => void) => {
  const list = magazineList(memory);
  return () => {
    memory.u32[SEEN] = list.pop();
  };
};

const popTwoPushFirst = (memory: Region): (() => void) => {
  const list = magazineList(memory);
  return () => {
    const first = list.pop();
    memory.u32[SEEN + 1] = list.pop();
    if (first !== 0) list.push(first);
  };
};

/** Pops as the list does, but with an exchange of the handle alone. */
const popWithoutTag = ({ u32 }: Region): number => {
  for (;;) {
    const top = Atomics.load(u32, LIST_HEAD);
    if (top === 0) return 0;
    const next = Atomics.load(u32, wordOf(top) + 2);
    if (Atomics.compareExchange(u32, LIST_HEAD, top, next) === top) return top;
  }
};

const lockedIncrement = ({ i32 }: Region): (() => void) => {
  const mutex = new Mutex(i32, 0, NO_SPIN);
  return () => {
    mutex.lock();
    Atomics.store(i32, FLAG, Atomics.load(i32, FLAG) + 1);
    mutex.unlock();
  };
};

/** Node's thread id of the thread that may end, for its heir. */
const MORTAL_ID = 48;
const DEAD = 49;
/** Per thread: it is between lock and unlock. */
const INSIDE = 100;

/** Locks once; fails if a living thread has the lock as well. */
const lockedVisit =
  (thread: number, threads: number) =>
  ({ i32 }: Region): (() => void) => {
    const mutex = new Mutex(i32, 0, NO_SPIN);
    if (thread === 0) i32[MORTAL_ID] = threadId;
    return () => {
      mutex.lock();
      Atomics.store(i32, INSIDE + thread, 1);
      for (let other = 0; other < threads; other++) {
        if (other === thread || i32[INSIDE + other] === 0) continue;
        expect(other === 0 && i32[DEAD] === 1, `threads ${thread} and ${other} hold the lock`);
      }
      Atomics.store(i32, INSIDE + thread, 0);
      mutex.unlock();
      i32[FLAG + thread] = 1;
    };
  };

const lockBreaker = ({ i32 }: Region): (() => void) => {
  const mutex = new Mutex(i32, 0, NO_SPIN);
  return () => {
    i32[DEAD] = 1;
    const held = mutex.breakFor(i32[MORTAL_ID]!);
    expect(held || i32[INSIDE] === 0, 'the lock of a thread that ended inside is broken');
  };
};

function checkVisits({ i32 }: Region, threads: number, alive: boolean): void {
  expect(i32[0] === 0, 'the lock is free');
  for (let thread = alive ? 0 : 1; thread < threads; thread++) {
    expect(i32[FLAG + thread] === 1, `thread ${thread} got the lock`);
  }
}

/** The breaker that only frees: a thread that was woken, or was to wake one, has taken that with it. */
const silentBreaker = ({ i32 }: Region): (() => void) => {
  return () => {
    i32[DEAD] = 1;
    if ((Atomics.load(i32, 0) & 0xffff) === i32[MORTAL_ID]! + 1) Atomics.store(i32, 0, 0);
  };
};

const allocateHalfSpan =
  (place: number) =>
  (memory: Region): (() => void) => {
    const slab = new SlabAllocator(memory);
    return () => {
      memory.u32[(4 * MIB) / 4 - 1 - place] = slab.allocate(MIB / 2);
    };
  };

function checkHalfSpans(memory: Region): void {
  const slab = new SlabAllocator(memory);
  const handles = [memory.u32[(4 * MIB) / 4 - 1]!, memory.u32[(4 * MIB) / 4 - 2]!];
  for (let handle = slab.allocate(MIB / 2); handle !== 0; handle = slab.allocate(MIB / 2))
    handles.push(handle);
  const all = [1, 1.5, 2, 2.5].map((mib) => (mib * MIB) / UNIT).join();
  expect(handles.sort((a, b) => a - b).join() === all, `blocks are lost or doubled: ${handles.join()}`);
}

/** Bytes of a slab with two spans; what follows in the memory are the caches, then what the threads hold. */
const SLAB_BYTES = 3 * MIB;
const CACHES_BYTES = slabCachesBytes(2);
const TAGS_BYTES = slabTagsBytes(SLAB_BYTES);
const HELD_AT = (SLAB_BYTES + CACHES_BYTES + TAGS_BYTES) / 4;
const HELD_MAX = 8;
const MORTAL_BYTES = HELD_AT * 4 + 2 * HELD_MAX * 4;

function part({ u8 }: Region, offset: number, bytes: number): Region {
  const { buffer } = u8;
  return {
    name: 'part',
    bytes,
    offset,
    u8: new Uint8Array(buffer, offset, bytes),
    i32: new Int32Array(buffer, offset, bytes / 4),
    u32: new Uint32Array(buffer, offset, bytes / 4),
    f64: new Float64Array(buffer, offset, bytes / 8),
  };
}

function slabOf(memory: Region, slot?: number): SlabAllocator {
  const caches = new SlabCaches(part(memory, SLAB_BYTES, CACHES_BYTES));
  const { u32: tags } = part(memory, SLAB_BYTES + CACHES_BYTES, TAGS_BYTES);
  return new SlabAllocator(
    part(memory, 0, SLAB_BYTES),
    slot === undefined ? { caches, tags } : { caches, tags, slot },
  );
}

/** Allocates (> 0, bytes) and frees (≤ 0, the −nth it holds); what it holds is in the memory when it is asked after. */
const slabUser =
  (slot: number, ...steps: number[]) =>
  (memory: Region): (() => void) =>
    useSlab(memory, slabOf(memory, slot), slot, steps);

/** The mistake that rows avoid: whoever has none does not tell the others what it found. */
const slabUserWithoutRow =
  (place: number, ...steps: number[]) =>
  (memory: Region): (() => void) =>
    useSlab(memory, slabOf(memory), place, steps);

function useSlab(memory: Region, slab: SlabAllocator, place: number, steps: readonly number[]): () => void {
  const { u32 } = part(memory, HELD_AT * 4 + place * HELD_MAX * 4, HELD_MAX * 4);
  return () => {
    let held = 0;
    for (const step of steps) {
      if (step > 0) u32[held++] = slab.allocate(step);
      else {
        const handle = u32[-step]!;
        u32[-step] = 0;
        slab.free(handle);
      }
    }
  };
}

/** Leaves `count` blocks of `bytes` in the shared lists, or where freeing them left them. */
const slabWith =
  (bytes: number, count: number, isFlushed = true) =>
  (memory: Region): void => {
    SlabAllocator.format(part(memory, 0, SLAB_BYTES));
    const slab = slabOf(memory, 0);
    const handles = Array.from({ length: count }, () => slab.allocate(bytes));
    for (const handle of handles) slab.free(handle);
    if (isFlushed) slab.flush();
  };

/** Puts the spans together, as far as nobody has their blocks. */
const keepSlab =
  (...spans: number[]) =>
  (memory: Region): (() => void) => {
    const keeper = new SlabKeeper(slabOf(memory, 0), () => 0);
    return () => {
      keeper.join(spans);
    };
  };

/** A successor of the keeper takes over: every block is free or held. */
function checkKeeperSuccession(memory: Region): void {
  const successor = slabOf(memory, 0);
  new SlabKeeper(successor, () => 0).recover();
  const held = [...part(memory, HELD_AT * 4, 2 * HELD_MAX * 4).u32].filter((handle) => handle !== 0);
  const { lost, dangling, doubled } = auditSlab(successor, (visit) => {
    for (const handle of held) visit(handle, 1);
  });
  const found = JSON.stringify({ lost, dangling, doubled });
  expect(lost.length + dangling.length + doubled.length === 0, found);
}

/** A successor takes over: every block is free or held, but for the one that was between. */
function checkSuccession(memory: Region, alive: boolean): void {
  const slab = slabOf(memory, 0);
  const held = [...part(memory, HELD_AT * 4, 2 * HELD_MAX * 4).u32].filter((handle) => handle !== 0);
  const { lost, dangling, doubled } = auditSlab(slab, (visit) => {
    for (const handle of held) visit(handle, 1);
  });
  expect(dangling.length === 0, `free and held: ${JSON.stringify(dangling)}`);
  expect(doubled.length === 0, `in two places: ${JSON.stringify(doubled)}`);
  expect(lost.length <= (alive ? 0 : 1), `lost: ${JSON.stringify(lost)}`);
  for (const handle of held) slab.free(handle);
  for (const bytes of [12 * KIB, MIB]) {
    const handle = slab.allocate(bytes);
    if (handle !== 0) slab.free(handle);
  }
  slab.flush();
  expect(auditSlab(slab, () => {}).lost.length === lost.length, 'the successor loses nothing');
}

const MESSAGES = 3;
const mailboxMemory = planMailbox(1, 256);
const RING_CAPACITY = 256;
const RECORD_BYTES = 120;
const RECORDS = 4;

function writesPair({ i32 }: Region): () => void {
  const lock = new SequenceLock(i32, 0, NO_SPIN);
  return () => {
    lock.writeBegin();
    Atomics.store(i32, FLAG, 1);
    Atomics.store(i32, FLAG + 1, 1);
    lock.writeEnd();
  };
}

function readsPair({ i32 }: Region): () => void {
  const lock = new SequenceLock(i32, 0, NO_SPIN);
  return () => {
    let seen: number;
    let sum: number;
    do {
      seen = lock.readBegin();
      sum = Atomics.load(i32, FLAG) + Atomics.load(i32, FLAG + 1);
    } while (lock.readRetry(seen));
    expect(sum !== 1, 'a reader sees all of a write or nothing');
  };
}

export const scenarios: Record<string, Scenario> = {
  ...stealing,
  'doorbell, one ringer': {
    bytes: 4096,
    threads: [doorbellOwner(1), doorbellRinger(0)],
    setup: nothing,
    check: nothing,
  },
  'doorbell, two ringers': {
    bytes: 4096,
    threads: [doorbellOwner(2), doorbellRinger(0), doorbellRinger(1)],
    setup: nothing,
    check: nothing,
  },
  'doorbell, two ringers that ring twice': {
    bytes: 4096,
    threads: [doorbellOwner(4), doorbellRinger(0, 1), doorbellRinger(2, 3)],
    setup: nothing,
    check: nothing,
  },
  'doorbell, hasty ringer': {
    bytes: 4096,
    threads: [doorbellOwner(1), hastyRinger],
    setup: nothing,
    check: nothing,
  },
  // Two records fit, so the producer waits several times, each time beside what the wait before has left.
  'ring that is full again and again': {
    bytes: ringBytes(RING_CAPACITY),
    threads: [
      (memory) => {
        const ring = new RingProducer(memory, 0, RING_CAPACITY);
        return () => {
          for (let i = 0; i < RECORDS; i++) {
            while (ring.claim(i, RECORD_BYTES) < 0) ring.waitForRoom(1000);
            ring.publish();
          }
        };
      },
      (memory) => {
        const ring = new RingConsumer(memory, 0, RING_CAPACITY);
        return () => {
          for (let received = 0; received < RECORDS; ) {
            const head = Atomics.load(memory.i32, 0);
            if (!ring.next()) Atomics.wait(memory.i32, 0, head, 1);
            else {
              expect(ring.kind === received++, 'records arrive in order');
              ring.release();
            }
          }
        };
      },
    ],
    setup: nothing,
    check: nothing,
  },
  'mailbox with a full lane, over the wrap of the indexes': {
    bytes: mailboxMemory,
    threads: [
      (memory) => {
        const outbox = new Outbox(memory, 0);
        return () => {
          for (let i = 1; i <= MESSAGES; i++) {
            const at = outbox.claimOrWait(i, 100);
            outbox.u32.fill(i, at / 4, at / 4 + 25);
            outbox.send();
          }
        };
      },
      (memory) => {
        const mailbox = new Mailbox(memory, NO_SPIN);
        let received = 0;
        const handler = {
          onMessage(
            kind: number,
            _: Uint8Array,
            u32: Uint32Array,
            __: Float64Array,
            offset: number,
            length: number,
          ) {
            received++;
            const intact = u32.subarray(offset / 4, offset / 4 + 25).every((word) => word === received);
            expect(
              kind === received && length === 100 && intact,
              `message ${received} arrives whole, in order`,
            );
          },
        };
        return () => {
          while (received < MESSAGES) {
            const seen = mailbox.doorbell.seen();
            if (mailbox.drain(handler, 8) === 0) mailbox.doorbell.wait(seen, 1000);
          }
        };
      },
    ],
    setup(memory) {
      Mailbox.format(memory, 1, 256);
      const lane = planMailbox(0, 256) / 4;
      // Head and tail stand 128 bytes before the wrap of the u32, in the middle of the ring.
      memory.i32[lane] = -128;
      memory.i32[lane + 32] = -128;
    },
    check: (memory) => expect(new Mailbox(memory).depth()[0] === 0, 'nothing is left'),
  },
  'magazine list, one popped while two are popped and one comes back': {
    bytes: 4096,
    threads: [popOne, popTwoPushFirst],
    setup: fillList,
    check: checkNothingLostOrDoubled,
  },
  'magazine list without tags': {
    bytes: 4096,
    threads: [
      (memory) => () => {
        memory.u32[SEEN] = popWithoutTag(memory);
      },
      (memory) => () => {
        const first = popWithoutTag(memory);
        memory.u32[SEEN + 1] = popWithoutTag(memory);
        if (first === 0) return;
        const top = Atomics.load(memory.u32, LIST_HEAD);
        memory.u32[wordOf(first) + 2] = top;
        if (Atomics.compareExchange(memory.u32, LIST_HEAD, top, first) !== top) {
          Atomics.store(memory.u32, wordOf(first) + 2, Atomics.exchange(memory.u32, LIST_HEAD, first));
        }
      },
    ],
    setup: fillList,
    check: checkNothingLostOrDoubled,
  },
  'slab, two threads open a span for one class': {
    bytes: 4 * MIB,
    threads: [allocateHalfSpan(0), allocateHalfSpan(1)],
    // The last span is the scenario's own.
    setup: (memory) => SlabAllocator.format({ ...memory, bytes: 3 * MIB }),
    check: (memory) => checkHalfSpans({ ...memory, bytes: 3 * MIB }),
  },
  // 12 KiB: a magazine is two blocks, a cache two magazines.
  'slab, a thread dies while it allocates': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [slabUser(0, 12 * KIB, 12 * KIB, 12 * KIB, 12 * KIB, 12 * KIB)],
    setup: slabWith(12 * KIB, 2),
    check: checkSuccession,
  },
  'slab, a thread dies while it frees': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [slabUser(0, 12 * KIB, 12 * KIB, 12 * KIB, 12 * KIB, 12 * KIB, 12 * KIB, 0, -1, -2, -3, -4, -5)],
    setup: slabWith(12 * KIB, 4),
    check: checkSuccession,
  },
  'slab, a thread dies with blocks of whole spans': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [slabUser(0, MIB, 0, 12 * KIB, MIB, -1, -2, MIB)],
    setup: slabWith(MIB, 1),
    check: checkSuccession,
  },
  'slab, a thread dies while another changes the same list': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [
      slabUser(0, 12 * KIB, 12 * KIB, 12 * KIB),
      slabUser(1, 12 * KIB, 12 * KIB, 12 * KIB, 0, -1, -2),
    ],
    setup: slabWith(12 * KIB, 4),
    check: checkSuccession,
  },
  'slab, a thread dies while another pops what it pushed': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [slabUser(0, 24 * KIB, 24 * KIB, 24 * KIB, 0, -1, -2), slabUser(1, 24 * KIB)],
    setup: slabWith(24 * KIB, 3, false),
    check: checkSuccession,
  },
  'slab, a thread dies while one without a row pops what it pushed': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [slabUser(0, 24 * KIB, 24 * KIB, 24 * KIB, 0, -1, -2), slabUserWithoutRow(1, 24 * KIB)],
    setup: slabWith(24 * KIB, 3, false),
    check: checkSuccession,
  },
  'slab, a thread dies while another opens a span too': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [slabUser(0, 12 * KIB), slabUser(1, 12 * KIB)],
    setup: slabWith(MIB, 1),
    check: checkSuccession,
  },
  // 256 KiB: a span is four blocks, none of them cached; 512 KiB: two.
  'slab, the keeper dies while it puts a span together': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [keepSlab(1, 2)],
    setup: slabWith(256 * KIB, 8),
    check: checkKeeperSuccession,
  },
  'slab, the keeper dies while another takes of what it puts together': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [keepSlab(1), slabUser(1, 512 * KIB)],
    setup: slabWith(512 * KIB, 2),
    check: checkKeeperSuccession,
  },
  'mutex, two threads': {
    bytes: 4096,
    threads: [lockedIncrement, lockedIncrement],
    setup: nothing,
    check: ({ i32 }) => expect(i32[FLAG] === 2 && i32[0] === 0, 'both increments count'),
  },
  'mutex, three threads': {
    bytes: 4096,
    threads: [lockedIncrement, lockedIncrement, lockedIncrement],
    setup: nothing,
    check: ({ i32 }) => expect(i32[FLAG] === 3 && i32[0] === 0, 'all increments count'),
  },
  'mutex, one of two threads ends': {
    bytes: 4096,
    threads: [lockedVisit(0, 2), lockedVisit(1, 2)],
    mortal: 0,
    heir: lockBreaker,
    setup: nothing,
    check: (memory, alive) => checkVisits(memory, 2, alive),
  },
  'mutex, one of three threads ends': {
    bytes: 4096,
    threads: [lockedVisit(0, 3), lockedVisit(1, 3), lockedVisit(2, 3)],
    mortal: 0,
    heir: lockBreaker,
    setup: nothing,
    check: (memory, alive) => checkVisits(memory, 3, alive),
  },
  'mutex, broken without waking anybody': {
    bytes: 4096,
    threads: [lockedVisit(0, 2), lockedVisit(1, 2)],
    mortal: 0,
    heir: silentBreaker,
    setup: nothing,
    check: (memory, alive) => checkVisits(memory, 2, alive),
  },
  'sequence lock, the writer ends and another takes over': {
    bytes: 4096,
    threads: [writesPair, readsPair],
    mortal: 0,
    heir: ({ i32 }) => {
      const lock = new SequenceLock(i32, 0, NO_SPIN);
      return () => {
        lock.takeOverWrite();
        Atomics.store(i32, FLAG, 1);
        Atomics.store(i32, FLAG + 1, 1);
        lock.writeEnd();
      };
    },
    setup: nothing,
    check: ({ i32 }) => expect((i32[0]! & 1) === 0 && i32[FLAG + 1] === 1, 'the write is done'),
  },
  'store status, io-0 ends and its successor writes': {
    bytes: 4096,
    threads: [
      ({ i32 }) => {
        const status = new StoreStatus({ i32 });
        return () => status.write({ segment: 1, commits: 1 });
      },
      ({ i32 }) => {
        const status = new StoreStatus({ i32 });
        return () => {
          const { segment, commits } = status.read();
          expect(segment === commits, `numbers of one write belong together: ${segment}, ${commits}`);
        };
      },
    ],
    mortal: 0,
    heir: ({ i32 }) => {
      const status = new StoreStatus({ i32 });
      return () => {
        status.write({ segment: 2, commits: 2 });
        status.write({ segment: 3, commits: 3 });
      };
    },
    setup: nothing,
    check({ i32 }, alive) {
      const { segment, commits } = new StoreStatus({ i32 }).read();
      expect(segment === commits && segment === (alive ? 1 : 3), 'the last write is what is shown');
    },
  },
  'journal, a writer that waits for room ends': {
    bytes: journalRegionBytes(4096),
    threads: [
      (memory) => {
        const writer = new JournalWriter(memory);
        return () => {
          writer.waitForRoom(2000);
        };
      },
      (memory) => {
        const writer = new JournalWriter(memory);
        return () => {
          writer.waitForRoom(2000);
        };
      },
      (memory) => {
        const reader = new JournalReader(memory);
        return () => {
          reader.next(reader.published());
          reader.release();
          expect(reader.next(reader.published()), 'there are two records');
          reader.release();
        };
      },
    ],
    mortal: 0,
    heir: () => nothing,
    setup(memory) {
      formatJournal(memory, 1);
      const writer = new JournalWriter(memory);
      for (let i = 0; i < 2; i++) {
        writer.append(1, 2000);
        writer.commit();
      }
    },
    check: nothing,
  },
  'sequence lock': {
    bytes: 4096,
    threads: [writesPair, readsPair],
    setup: nothing,
    check: nothing,
  },
  'semaphore, two takers of two permits given one by one': {
    bytes: 4096,
    threads: [
      ({ i32 }) => {
        const semaphore = new Semaphore(i32, 0, NO_SPIN);
        return () => semaphore.acquire();
      },
      ({ i32 }) => {
        const semaphore = new Semaphore(i32, 0, NO_SPIN);
        return () => semaphore.acquire();
      },
      ({ i32 }) => {
        const semaphore = new Semaphore(i32, 0, NO_SPIN);
        return () => {
          semaphore.release();
          semaphore.release();
        };
      },
    ],
    setup: nothing,
    check: ({ i32 }) => expect(i32[0] === 0 && i32[1] === 0, 'both permits are taken'),
  },
  'condition, a notify between unlock and park': {
    bytes: 4096,
    threads: [
      ({ i32 }) => {
        const mutex = new Mutex(i32, 0, NO_SPIN);
        const condition = new Condition(i32, 8);
        return () => {
          mutex.lock();
          while (Atomics.load(i32, FLAG) === 0) condition.wait(mutex);
          mutex.unlock();
        };
      },
      ({ i32 }) => {
        const mutex = new Mutex(i32, 0, NO_SPIN);
        const condition = new Condition(i32, 8);
        return () => {
          mutex.lock();
          Atomics.store(i32, FLAG, 1);
          condition.notifyOne();
          mutex.unlock();
        };
      },
    ],
    setup: nothing,
    check: nothing,
  },
  'barrier, two rounds': {
    bytes: 4096,
    threads: [0, 1].map((thread) => ({ i32 }: Region) => {
      const barrier = new Barrier(i32, 0, 2, NO_SPIN);
      return () => {
        for (let round = 1; round <= 2; round++) {
          i32[FLAG + thread] = round;
          barrier.wait();
          expect(i32[FLAG + 1 - thread]! >= round, 'nobody passes before the other has arrived');
        }
      };
    }),
    setup: nothing,
    check: nothing,
  },
  'once, two threads': {
    bytes: 4096,
    threads: [0, 1].map(() => ({ i32 }: Region) => {
      const once = new Once(i32, 0);
      return () => {
        once.run(() => Atomics.add(i32, FLAG, 1));
        expect(i32[FLAG] === 1, 'it has been done when run() returns');
      };
    }),
    setup: nothing,
    check: ({ i32 }) => expect(i32[FLAG] === 1, 'it is done once'),
  },
};
