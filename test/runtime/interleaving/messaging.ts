/** Doorbells, rings and mailboxes. */
import type { Region } from '../../../runtime/memory/arena.ts';
import { Doorbell } from '../../../runtime/messaging/doorbell.ts';
import { Mailbox, Outbox, planMailbox } from '../../../runtime/messaging/mailbox.ts';
import { RingConsumer, RingProducer, ringBytes } from '../../../runtime/messaging/ring.ts';
import { expect, FLAG, NO_SPIN, nothing, type Scenario } from './scenario.ts';

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

const MESSAGES = 3;
const mailboxMemory = planMailbox(1, 256);
const RING_CAPACITY = 256;
const RECORD_BYTES = 120;
const RECORDS = 4;

export const messaging: Record<string, Scenario> = {
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
};
