/** The shared memory of a small configuration, and any actor's view of it, all in one thread. */
import { attachContext, type Context, type ThreadData } from '../../actors/context.ts';
import { reserveMemory } from '../../actors/main/memory.ts';
import { Topology } from '../../actors/topology.ts';
import { DECLARED, LIVE_KEYS } from '../../runtime/config/fields.ts';
import { configSchema } from '../../runtime/config/schema.ts';
import type { MessageHandler } from '../../runtime/messaging/mailbox.ts';

export interface Message {
  readonly kind: number;
  readonly from: string;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
}

export class World {
  readonly config;
  readonly topology: Topology;
  readonly #data: Omit<ThreadData, 'name'>;

  constructor(
    workers: Record<string, number | boolean> = {},
    store = '/nowhere',
    vectors: Record<string, number | string> = {},
  ) {
    this.config = configSchema.parse({
      workers,
      vectors,
      memory: { budget: '16MiB', max_files: 1000 },
      log: { level: 'silent' },
    });
    this.topology = new Topology(this.config);
    this.#data = {
      arena: reserveMemory(this.config, this.topology).buffer,
      config: this.config,
      store,
      identity: { uuid: '', bytes: new Uint8Array(16), created: '' },
      log: 2,
      eventfds: [],
      words: new SharedArrayBuffer(8),
      onlyUid: undefined,
      accessTimes: true,
      isReadOnly: false,
      incarnation: 1,
      liveKeys: LIVE_KEYS,
      declared: DECLARED,
      cpus: [],
      shardDistances: [],
    };
  }

  /** `incarnation` beyond 1: the successor of one that died; its row is then as main leaves it. */
  actor(name: string, incarnation = 1): Context {
    const context = attachContext({ ...this.dataOf(name), incarnation });
    if (incarnation > context.state.incarnation) context.state.incarnation = incarnation;
    return context;
  }

  /** What a thread of that name is started with. */
  dataOf(name: string): ThreadData {
    return { ...this.#data, name };
  }
}

/** Everything that waits in an actor's mailbox, copied. */
export function take(context: Context): Message[] {
  const { senders } = context.topology.actor(context.name);
  const messages: Message[] = [];
  const handler: MessageHandler = {
    onMessage(kind, u8, _u32, _f64, offset, length, lane) {
      const bytes = u8.slice(offset, offset + ((length + 7) & ~7));
      messages.push({
        kind,
        from: senders[lane]!,
        u8: bytes.subarray(0, length),
        u32: new Uint32Array(bytes.buffer),
        f64: new Float64Array(bytes.buffer),
      });
    },
  };
  while (context.mailbox.drain(handler, 32) > 0);
  return messages;
}
