/** Ways to send messages from one thread to another. Each has its other end in channel-thread.ts. */
import { Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { Arena } from '../../runtime/memory/arena.ts';
import { Mailbox, Outbox, planMailbox } from '../../runtime/messaging/mailbox.ts';
import {
  type ChannelData,
  JSON_ANSWER,
  JSON_BYTES,
  JSON_LENGTH,
  JSON_TURN,
  LANE_BYTES,
  MESSAGE,
  PLEASE_ANSWER,
} from './channel-thread.ts';

export interface Channel {
  readonly name: string;
  readonly what: string;
  /** Messages a second of `bytes` each, `batch` handed over at a time, sent for `ms` and all received. */
  rate(bytes: number, batch: number, ms: number): Promise<number>;
  /** Median time of a message of `bytes` there and back, microseconds. */
  roundTrip(bytes: number, ms: number): Promise<number>;
  close(): Promise<void>;
}

/** Messages that may be under way before the sender waits for the receiver, where nothing else limits them. */
const WINDOW = 1024;

function startThread(data: ChannelData): Worker {
  return new Worker(new URL('./channel-thread.js', import.meta.url), { workerData: data });
}

function medianOf(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[times.length >> 1]! * 1000;
}

/** A lane of a mailbox, as the actors use it. */
export class RingChannel implements Channel {
  readonly name = 'ring';
  readonly what =
    'a lane of a mailbox in shared memory; batched: one publish and one ring for all, single: for each';
  readonly #arena = Arena.create([
    { name: 'there', bytes: planMailbox(1, LANE_BYTES) },
    { name: 'back', bytes: planMailbox(1, LANE_BYTES) },
  ]);
  readonly #worker: Worker;
  readonly #there: Outbox;
  readonly #back: Mailbox;
  #answers = 0;
  readonly #handler = {
    onMessage: (): void => {
      this.#answers++;
    },
  };

  constructor() {
    Mailbox.format(this.#arena.region('there'), 1, LANE_BYTES);
    Mailbox.format(this.#arena.region('back'), 1, LANE_BYTES);
    this.#there = new Outbox(this.#arena.region('there'), 0);
    this.#back = new Mailbox(this.#arena.region('back'));
    this.#worker = startThread({ kind: 'ring', buffer: this.#arena.buffer });
  }

  async rate(bytes: number, batch: number, ms: number): Promise<number> {
    const words = new Uint32Array(bytes / 4).fill(7);
    const payload = new Uint8Array(words.buffer);
    const begin = performance.now();
    let sent = 0;
    while (performance.now() - begin < ms) {
      // A look at the clock for every 1,024 messages.
      for (let i = 0; i < WINDOW; i += batch) {
        for (let j = 0; j < batch; j++) this.#copy(MESSAGE, words, payload);
        this.#there.send();
      }
      sent += WINDOW;
    }
    this.#copy(PLEASE_ANSWER, words, payload);
    this.#there.send();
    this.#awaitAnswer();
    return (sent / (performance.now() - begin)) * 1000;
  }

  async roundTrip(bytes: number, ms: number): Promise<number> {
    const words = new Uint32Array(bytes / 4).fill(7);
    const payload = new Uint8Array(words.buffer);
    const times: number[] = [];
    for (const end = performance.now() + ms; performance.now() < end; ) {
      const begin = performance.now();
      this.#copy(PLEASE_ANSWER, words, payload);
      this.#there.send();
      this.#awaitAnswer();
      times.push(performance.now() - begin);
    }
    return medianOf(times);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #copy(kind: number, words: Uint32Array, payload: Uint8Array): void {
    const at = this.#there.claimOrWait(kind, payload.length);
    if (words.length > 64) this.#there.u8.set(payload, at);
    else for (let i = 0, to = at >> 2; i < words.length; i++) this.#there.u32[to + i] = words[i]!;
  }

  #awaitAnswer(): void {
    const before = this.#answers;
    for (;;) {
      const seen = this.#back.doorbell.seen();
      if (this.#back.drain(this.#handler, 32) > 0 && this.#answers > before) return;
      this.#back.doorbell.wait(seen, 1000);
    }
  }
}

/** What Node offers: structured clones through its event loops. */
export class PostMessageChannel implements Channel {
  readonly name = 'postMessage';
  readonly what = 'worker.postMessage of a Uint8Array; batched: of an array of them';
  readonly #worker = startThread({ kind: 'postMessage' });

  async rate(bytes: number, batch: number, ms: number): Promise<number> {
    const one = new Uint8Array(bytes).fill(7);
    const message = batch === 1 ? one : Array.from({ length: batch }, () => one.slice());
    const begin = performance.now();
    let sent = 0;
    let underWay: Promise<unknown> | undefined;
    while (performance.now() - begin < ms) {
      for (let i = 0; i < WINDOW; i += batch) this.#worker.postMessage(message);
      sent += WINDOW;
      await underWay;
      underWay = this.#answer();
      this.#worker.postMessage(PLEASE_ANSWER);
    }
    await underWay;
    return (sent / (performance.now() - begin)) * 1000;
  }

  async roundTrip(bytes: number, ms: number): Promise<number> {
    const message = new Uint8Array(bytes).fill(7);
    const times: number[] = [];
    for (const end = performance.now() + ms; performance.now() < end; ) {
      const begin = performance.now();
      const answer = this.#answer();
      this.#worker.postMessage({ message });
      await answer;
      times.push(performance.now() - begin);
    }
    return medianOf(times);
  }

  #answer(): Promise<unknown> {
    return new Promise((resolve) => this.#worker.once('message', resolve));
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** A pool of task threads; a message is a task whose result is nothing. */
export class PiscinaChannel implements Channel {
  readonly name = 'Piscina';
  readonly what =
    'Piscina 5, one thread, atomics: "sync"; a task a message, 64 under way; batched: a task an array';
  readonly #pool = new Piscina<unknown, number>({
    filename: new URL('./piscina-task.js', import.meta.url).href,
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 1,
    atomics: 'sync',
  });

  async rate(bytes: number, batch: number, ms: number): Promise<number> {
    const one = new Uint8Array(bytes).fill(7);
    const message = batch === 1 ? one : Array.from({ length: batch }, () => one.slice());
    const begin = performance.now();
    let sent = 0;
    const sendOn = async (): Promise<void> => {
      while (performance.now() - begin < ms) {
        await this.#pool.run(message);
        sent += batch;
      }
    };
    await Promise.all(Array.from({ length: 64 }, sendOn));
    return (sent / (performance.now() - begin)) * 1000;
  }

  async roundTrip(bytes: number, ms: number): Promise<number> {
    const message = new Uint8Array(bytes).fill(7);
    const times: number[] = [];
    for (const end = performance.now() + ms; performance.now() < end; ) {
      const begin = performance.now();
      await this.#pool.run(message);
      times.push(performance.now() - begin);
    }
    return medianOf(times);
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/**
 * As fast-thread and its like: a text of JSON in a SharedArrayBuffer, and a word to wait on. Our own few lines of it: one place for a
 * message, which the receiver gives back.
 */
export class JsonChannel implements Channel {
  readonly name = 'JSON';
  readonly what = 'JSON text in a SharedArrayBuffer with Atomics.wait/notify; batched: an array in one text';
  readonly #buffer = new SharedArrayBuffer(JSON_BYTES);
  readonly #words = new Int32Array(this.#buffer, 0, 16);
  readonly #text = new Uint8Array(this.#buffer, 64);
  readonly #encoder = new TextEncoder();
  readonly #worker = startThread({ kind: 'json', buffer: this.#buffer });
  #turn = 0;

  async rate(bytes: number, batch: number, ms: number): Promise<number> {
    const one = { kind: MESSAGE, data: 'x'.repeat(bytes) };
    const message = batch === 1 ? one : Array.from({ length: batch }, () => ({ ...one }));
    const begin = performance.now();
    let sent = 0;
    for (; performance.now() - begin < ms; sent += batch) this.#send(message);
    this.#awaitRoom();
    return (sent / (performance.now() - begin)) * 1000;
  }

  async roundTrip(bytes: number, ms: number): Promise<number> {
    const message = { kind: PLEASE_ANSWER, data: 'x'.repeat(bytes) };
    const times: number[] = [];
    for (const end = performance.now() + ms; performance.now() < end; ) {
      const begin = performance.now();
      this.#send(message);
      this.#awaitRoom();
      times.push(performance.now() - begin);
    }
    return medianOf(times);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #send(message: object): void {
    this.#awaitRoom();
    const { written } = this.#encoder.encodeInto(JSON.stringify(message), this.#text);
    this.#words[JSON_LENGTH] = written;
    Atomics.store(this.#words, JSON_TURN, ++this.#turn);
    Atomics.notify(this.#words, JSON_TURN);
  }

  #awaitRoom(): void {
    for (let spins = 0; ; spins++) {
      const answered = Atomics.load(this.#words, JSON_ANSWER);
      if (answered === this.#turn) return;
      if (spins > 2000) Atomics.wait(this.#words, JSON_ANSWER, answered, 1000);
    }
  }
}
