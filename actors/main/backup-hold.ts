/**
 * What a backup asks of the mount that it copies (cli/offline/backup.ts is the other side). All of it ends with the connection
 * of the client that asked, however that ends.
 *
 * begin   the files of objects that are dropped from now on stay
 * freeze  no fuse actor takes a request until `thaw`, and everything done so far is durable: so the objects are as the log
 *         says up to there. Only for FREEZE_MS: a backup that takes longer hears of it and tries again
 * thaw    says whether it was frozen all the time
 */
import { ActorState, GATE_CLOSED, GATE_OPEN, READY } from '../../runtime/scheduling/actor-state.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { Context } from '../context.ts';
import { ACTOR_STATES, STORE_STATUS } from '../regions.ts';
import type { Call, Method } from './control-socket.ts';

/** How long the mount's users may have to wait, ms. */
const FREEZE_MS = 10_000;

export interface BackupPorts {
  readonly context: Context;
  /** Opens or closes the gate of an actor; resolves when the actor has seen it. */
  gate(name: string, gate: number): Promise<unknown>;
  /** Who asks fuse actors for changes that are no requests. */
  readonly quiet: readonly { hold(): void; release(): void }[];
  /** Makes everything durable: 0 or an errno. */
  flush(): Promise<number>;
}

/** Up to where the log says what the objects are. */
export interface FrozenStore {
  readonly durableLsn: number;
  /** Number of the log segment that is being written, and its bytes so far; 0 = none is. */
  readonly segment: number;
  readonly segmentBytes: number;
}

interface Gated {
  readonly name: string;
  readonly state: ActorState;
  readonly incarnation: number;
}

export class BackupHold {
  readonly #ports: BackupPorts;
  readonly #status: StoreStatus;
  #holder: AbortSignal | undefined;
  #frozen: readonly Gated[] | undefined;
  #limit: NodeJS.Timeout | undefined;

  constructor(ports: BackupPorts) {
    this.#ports = ports;
    this.#status = new StoreStatus(ports.context.arena.region(STORE_STATUS));
  }

  get methods(): Record<string, Method> {
    return {
      backupBegin: (_params, call) => this.#begin(call),
      backupFreeze: (_params, call) => this.#freeze(call),
      backupThaw: (_params, call) => this.#thaw(call),
    };
  }

  #begin({ signal }: Call): void {
    if (this.#holder !== undefined) throw new UserError('another backup of this mount is under way');
    if (signal.aborted) return;
    this.#holder = signal;
    this.#status.keepObjects(1);
    signal.addEventListener('abort', () => {
      this.#holder = undefined;
      this.#status.keepObjects(-1);
      void this.#open();
    });
  }

  async #freeze({ signal }: Call): Promise<FrozenStore> {
    if (this.#holder !== signal) throw new UserError('a backup begins before it freezes');
    if (this.#frozen !== undefined) throw new UserError('the mount is frozen');
    const gated = this.#running();
    this.#frozen = gated;
    this.#limit = setTimeout(() => void this.#open(), FREEZE_MS);
    for (const one of this.#ports.quiet) one.hold();
    try {
      for (const { name } of gated) await this.#ports.gate(name, GATE_CLOSED);
      const failed = await this.#ports.flush();
      if (failed !== 0) throw new UserError(`the store cannot be written (errno ${failed})`);
    } catch (error) {
      await this.#open();
      throw error;
    }
    if (signal.aborted) await this.#open();
    const { durableLsn, segment, segmentBytes } = this.#status.read();
    return { durableLsn, segment, segmentBytes };
  }

  async #thaw({ signal }: Call): Promise<{ whole: boolean }> {
    if (this.#holder !== signal) throw new UserError('only the backup that has frozen the mount thaws it');
    const whole = this.#frozen !== undefined && this.#isFrozen(this.#frozen);
    await this.#open();
    return { whole };
  }

  /** No actor has served since it was gated, nor any other thread: a gate does not outlive its thread. */
  #isFrozen(gated: readonly Gated[]): boolean {
    const isShut = gated.every(
      ({ state, incarnation }) => state.gate === GATE_CLOSED && state.incarnation === incarnation,
    );
    return isShut && this.#running().length === 0;
  }

  /** The fuse actors that serve; one that is gated already is somebody else's to open. */
  #running(): Gated[] {
    const { arena, topology } = this.#ports.context;
    return topology
      .ofKind('fuse')
      .map(({ name, slot }) => ({ name, state: new ActorState(arena.region(ACTOR_STATES), slot) }))
      .filter(({ state }) => state.get() === READY && state.gate !== GATE_CLOSED)
      .map(({ name, state }) => ({ name, state, incarnation: state.incarnation }));
  }

  async #open(): Promise<void> {
    const gated = this.#frozen ?? [];
    this.#frozen = undefined;
    clearTimeout(this.#limit);
    for (const one of this.#ports.quiet) one.release();
    for (const { name, state } of gated) {
      if (state.gate !== GATE_CLOSED) continue;
      await this.#ports.gate(name, GATE_OPEN).catch(() => {});
    }
  }
}
