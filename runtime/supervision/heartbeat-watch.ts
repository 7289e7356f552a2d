/**
 * Who hangs: an actor whose heartbeat has stood still for too long. Pure: it is shown the rows and the time.
 *
 * Time that passed without a look does not count: whoever stopped the watcher (a suspended machine, SIGSTOP, a main
 * thread that was busy itself) stopped the actors as well, or may have.
 */
export interface WatchedRow {
  readonly name: string;
  /** Changes with each thread of the actor. */
  readonly incarnation: number;
  readonly heartbeat: number;
  /** Milliseconds that a long step may take; 0 = the usual. */
  readonly patience: number;
  /** False: it need not beat, as it is not running or its gate is closed. */
  readonly mustBeat: boolean;
}

interface Silence {
  incarnation: number;
  heartbeat: number;
  patience: number;
  /** Milliseconds since its last sign of life, as far as anybody looked. */
  milliseconds: number;
}

/** Between two looks at most this many times the usual period counts. */
const LATE = 2;

export class HeartbeatWatch {
  readonly #hangMs: number;
  readonly #periodMs: number;
  readonly #silences = new Map<string, Silence>();
  #lookedAt = Number.NaN;

  /** @param periodMs between two calls of `look` */
  constructor(hangMs: number, periodMs: number) {
    this.#hangMs = hangMs;
    this.#periodMs = periodMs;
  }

  /** The actors that hang. One that goes on hanging is named again only after as long a silence as the first. */
  look(rows: Iterable<WatchedRow>, now: number): string[] {
    const elapsed = Number.isNaN(this.#lookedAt) ? 0 : Math.min(now - this.#lookedAt, LATE * this.#periodMs);
    this.#lookedAt = now;
    const hung: string[] = [];
    for (const row of rows) {
      const silence = this.#silenceOf(row);
      // Who asks for patience, or needs it no longer, lives as well.
      const isSame =
        silence.incarnation === row.incarnation &&
        silence.heartbeat === row.heartbeat &&
        silence.patience === row.patience;
      silence.incarnation = row.incarnation;
      silence.heartbeat = row.heartbeat;
      silence.patience = row.patience;
      silence.milliseconds = isSame && row.mustBeat ? silence.milliseconds + elapsed : 0;
      if (silence.milliseconds <= Math.max(this.#hangMs, row.patience)) continue;
      silence.milliseconds = 0;
      hung.push(row.name);
    }
    return hung;
  }

  #silenceOf({ name, incarnation, heartbeat, patience }: WatchedRow): Silence {
    let silence = this.#silences.get(name);
    if (!silence) {
      silence = { incarnation, heartbeat, patience, milliseconds: 0 };
      this.#silences.set(name, silence);
    }
    return silence;
  }
}
