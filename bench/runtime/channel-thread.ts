/** The receiving ends of the channels. A message is looked at, so that none is free because nobody wanted it. */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { Arena } from '../../runtime/memory/arena.ts';
import { Mailbox, type MessageHandler, Outbox } from '../../runtime/messaging/mailbox.ts';

export interface ChannelData {
  readonly kind: 'ring' | 'postMessage' | 'json';
  readonly buffer?: SharedArrayBuffer;
}

export const LANE_BYTES = 1 << 20;
export const MESSAGE = 16;
export const PLEASE_ANSWER = 17;

/** Words before the text: which message it is, the last one answered, bytes of the text. */
export const JSON_TURN = 0;
export const JSON_ANSWER = 4;
export const JSON_LENGTH = 8;
export const JSON_BYTES = 1 << 20;

/** What the messages said, added up: nobody asks for it. */
export let looked = 0;

function receiveFromRing(buffer: SharedArrayBuffer): void {
  const arena = Arena.attach(buffer);
  const mailbox = new Mailbox(arena.region('there'));
  const back = new Outbox(arena.region('back'), 0);
  const handler: MessageHandler = {
    onMessage(kind, u8, u32, _f64, offset, length) {
      looked += u32[offset >> 2]! + u8[offset + length - 1]!;
      if (kind !== PLEASE_ANSWER) return;
      const at = back.claimOrWait(MESSAGE, length);
      back.u8.set(u8.subarray(offset, offset + length), at);
      back.send();
    },
  };
  for (;;) {
    const seen = mailbox.doorbell.seen();
    if (mailbox.drain(handler, 1024) === 0) mailbox.doorbell.wait(seen, 1000);
  }
}

function receiveFromPort(): void {
  parentPort!.on('message', (message: unknown) => {
    if (message instanceof Uint8Array) looked += message[0]! + message[message.length - 1]!;
    else if (Array.isArray(message)) for (const one of message) looked += one[0]! + one[one.length - 1]!;
    else parentPort!.postMessage(message);
  });
}

function receiveJson(buffer: SharedArrayBuffer): void {
  const words = new Int32Array(buffer, 0, 16);
  const text = new Uint8Array(buffer, 64);
  const decoder = new TextDecoder();
  for (let turn = 0; ; ) {
    for (let spins = 0; Atomics.load(words, JSON_TURN) === turn; spins++) {
      if (spins > 2000) Atomics.wait(words, JSON_TURN, turn, 1000);
    }
    turn = Atomics.load(words, JSON_TURN);
    // TextDecoder refuses shared memory.
    const message = JSON.parse(decoder.decode(text.slice(0, words[JSON_LENGTH]!)));
    if (Array.isArray(message)) for (const one of message) looked += one.data.length;
    else looked += message.data.length;
    Atomics.store(words, JSON_ANSWER, turn);
    Atomics.notify(words, JSON_ANSWER);
  }
}

if (!isMainThread && workerData !== null) {
  const { kind, buffer } = workerData as ChannelData;
  if (kind === 'ring') receiveFromRing(buffer!);
  else if (kind === 'json') receiveJson(buffer!);
  else if (kind === 'postMessage') receiveFromPort();
}
