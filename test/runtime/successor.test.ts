/** What a thread that dies leaves in lanes and doorbells, and how its successor goes on with it. */
import { closeSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Arena, type Region } from '../../runtime/memory/arena.ts';
import { Doorbell } from '../../runtime/messaging/doorbell.ts';
import { Mailbox, Outbox, planMailbox } from '../../runtime/messaging/mailbox.ts';
import { eventfd, PollSet } from '../../runtime/system/libc.ts';

const ONE = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);

describe('the doorbell of a thread that died in poll(2)', () => {
  let words: Int32Array;
  let fd: number;
  let pollSet: PollSet;
  beforeEach(() => {
    words = new Int32Array(new SharedArrayBuffer(64));
    fd = eventfd();
    pollSet = new PollSet(fd);
    const dead = new Doorbell(words, 0);
    dead.armDescriptor(fd);
    dead.park(dead.seen());
  });
  afterEach(() => closeSync(fd));

  /** A successor that is armed and has looked for work. */
  function successor(): Doorbell {
    const doorbell = new Doorbell(words, 0);
    doorbell.armDescriptor(fd);
    return doorbell;
  }

  /** One sleep of at most `ms`; whether it ended early. */
  function sleepEndedEarly(doorbell: Doorbell, ms = 0): boolean {
    if (!doorbell.park(doorbell.seen())) return true;
    const ready = pollSet.wait(ms);
    doorbell.unpark(pollSet.events(0) !== 0);
    return ready > 0;
  }

  it('rings that came when nobody was there wake the successor for nothing at no time', () => {
    const ringer = new Doorbell(words, 0);
    ringer.ring();
    ringer.ring();
    const doorbell = successor();
    expect(sleepEndedEarly(doorbell)).toBe(false);
  });

  it('a ring while it sleeps wakes the successor, once', () => {
    const doorbell = successor();
    expect(doorbell.park(doorbell.seen())).toBe(true);
    new Doorbell(words, 0).ring();
    expect(pollSet.wait(0)).toBe(1);
    doorbell.unpark(true);
    expect(sleepEndedEarly(doorbell)).toBe(false);
  });

  it('a ringer of the dead one’s time that writes late ends one sleep early, and no more', () => {
    const doorbell = successor();
    writeSync(fd, ONE);
    expect(sleepEndedEarly(doorbell)).toBe(true);
    expect(sleepEndedEarly(doorbell)).toBe(false);
    writeSync(fd, ONE);
    new Doorbell(words, 0).ring();
    expect(sleepEndedEarly(doorbell)).toBe(true);
    expect(sleepEndedEarly(doorbell)).toBe(false);
  });

  it('a ring between the look and the sleep is not lost to the successor', () => {
    const doorbell = successor();
    const seen = doorbell.seen();
    new Doorbell(words, 0).ring();
    expect(doorbell.park(seen)).toBe(false);
    expect(sleepEndedEarly(doorbell)).toBe(false);
  });
});

describe('a lane whose sender died', () => {
  let region: Region;
  beforeEach(() => {
    region = Arena.create([{ name: 'mailbox', bytes: planMailbox(1, 1024) }]).region('mailbox');
    Mailbox.format(region, 1, 1024);
  });

  function received(): number[] {
    const kinds: number[] = [];
    new Mailbox(region).drain({ onMessage: (kind) => void kinds.push(kind) }, 100);
    return kinds;
  }

  it('what it had claimed and not sent is gone; what it had sent, and what its successor sends, arrives in order', () => {
    const dead = new Outbox(region, 0);
    dead.claim(1, 8);
    dead.send();
    dead.claim(2, 64);
    dead.claim(3, 8);
    const outbox = new Outbox(region, 0);
    outbox.claim(4, 8);
    outbox.send();
    expect(received()).toEqual([1, 4]);
  });

  it('the room that it had claimed is free again', () => {
    const dead = new Outbox(region, 0);
    while (dead.claim(1, 56) >= 0);
    const outbox = new Outbox(region, 0);
    let claimed = 0;
    while (outbox.claim(2, 56) >= 0) claimed++;
    outbox.send();
    expect(received()).toHaveLength(claimed);
    expect(claimed).toBe(1024 / 64);
  });
});
