/**
 * The part of the other io actors in a commit: each is asked once a round to make its objects durable, and again if its thread was
 * started anew since. An answer to a question of an earlier round, or of a predecessor of this thread, says nothing.
 */
import { assert } from '../../runtime/assert.ts';
import { FLUSH_OBJECTS } from '../messages.ts';

export interface OtherFlushesPorts {
  /** A message of two words to another io actor: 0 is io-1. */
  toOther(index: number, kind: number, first: number, second: number): void;
  /** How often that actor was started. */
  incarnationOf(index: number): number;
}

/** Questions: the index in the low bits, the round above. */
const INDEX_BITS = 8;
const ROUNDS = 2 ** (32 - INDEX_BITS);
/** Values of #asked beside an incarnation. */
const TO_BE_ASKED = -1;
const HAS_ANSWERED = -2;

export class OtherFlushes {
  readonly #ports: OtherFlushesPorts;
  /** Of each other io actor: the incarnation that was asked in this round. */
  readonly #asked: number[];
  #round: number;
  #everything = false;
  #errno = 0;

  /** @param others io actors besides io-0 */
  constructor(ports: OtherFlushesPorts, others: number) {
    assert(others < 2 ** INDEX_BITS, 'an io actor has its number in a few bits');
    this.#ports = ports;
    this.#asked = new Array<number>(others).fill(HAS_ANSWERED);
    // An answer to a predecessor must not pass for one to this thread.
    this.#round = Math.floor(Math.random() * ROUNDS);
  }

  /** The first that went wrong in this round. */
  get errno(): number {
    return this.#errno;
  }

  /** A new round; `everything`: also objects whose last bytes are in the log, too. */
  begin(everything: boolean): void {
    this.#round = (this.#round + 1) % ROUNDS;
    this.#everything = everything;
    this.#errno = 0;
    this.#asked.fill(TO_BE_ASKED);
    this.ask();
  }

  /** Asks those that have not answered and were started since they were asked. Whether an answer is missing. */
  ask(): boolean {
    let missing = false;
    for (let index = 0; index < this.#asked.length; index++) {
      if (this.#asked[index] === HAS_ANSWERED) continue;
      missing = true;
      const incarnation = this.#ports.incarnationOf(index);
      if (this.#asked[index] === incarnation) continue;
      this.#asked[index] = incarnation;
      const question = this.#round * 2 ** INDEX_BITS + index;
      this.#ports.toOther(index, FLUSH_OBJECTS, question, this.#everything ? 1 : 0);
    }
    return missing;
  }

  answered(question: number, errno: number): void {
    const index = question % 2 ** INDEX_BITS;
    if (Math.floor(question / 2 ** INDEX_BITS) !== this.#round) return;
    assert(index < this.#asked.length, 'the answer names who gives it');
    this.#asked[index] = HAS_ANSWERED;
    this.#errno ||= errno;
  }
}
