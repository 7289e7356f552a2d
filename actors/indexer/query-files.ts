import { BODY, encodeWriteOut, Reply } from '../../fuse/protocol/reply.ts';
import { CacheNotifier } from '../../fuse/session/notify.ts';
import { QUERY_FILE } from '../../fuse/virtual/node-ids.ts';
import type { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { QUERY_BYTES_MAX, QUERY_FILES_BYTES_MAX, QUERY_VALUES_MAX } from '../../runtime/config/bounds.ts';
import { E2BIG, EFBIG, EIO, ENOMEM, ESPIPE, ESTALE } from '../../runtime/errno.ts';
import type { Logger } from '../../runtime/log.ts';
import type { SendLate } from '../late-reply.ts';
import type { Pending } from '../pending.ts';
import type { QueryFileMessage } from '../query-messages.ts';
import { REPLIED, type Trace } from '../trace.ts';
import { credentialsOf } from './credentials.ts';
import { JsonBoundary } from './json-boundary.ts';
import type { Queries } from './queries.ts';

export interface QueryFileParts {
  readonly virtual: VirtualTree;
  readonly queries: Queries;
  readonly pending: Pending;
  readonly connection: () => number;
  readonly sendLate: SendLate;
  readonly logger: Logger;
  readonly trace: Trace;
}

/** What was written to one query file and answered. */
interface Conversation {
  /** Requests and answers, one after the other. */
  text: Buffer;
  bytes: number;
  /** Whether the kernel has read the last page, which it then keeps, zeros behind the end included. */
  isCached: boolean;
  /** Where the request that has not ended begins. */
  begins: number;
  readonly boundary: JsonBoundary;
  /** The last write, should it be asked for again: a thread may have died before it was answered. */
  last: LastWrite | undefined;
  /** The answer to a request is being found. */
  isBusy: boolean;
}

interface LastWrite {
  readonly position: number;
  readonly length: number;
  readonly done: Promise<number>;
}

const FIRST_BYTES = 4096;
/**
 * How long the kernel may take to forget a page. It does at once, unless it has thrown the page away already and holds the
 * new one locked until the write is answered, and then there is nothing to forget.
 */
const FORGET_MS = 500;

/**
 * The contents of query files: a write that completes a request returns when the answer is there, which follows it in the
 * file. Lives on the indexer's event loop; the kernel has one write to a file under way at a time.
 */
export class QueryConversations {
  readonly #parts: QueryFileParts;
  readonly #open = new Map<number, Conversation>();
  readonly #reply = new Reply();
  #notifier: CacheNotifier | undefined;

  constructor(parts: QueryFileParts) {
    this.#parts = parts;
  }

  /** Before the connection's descriptor may be closed. */
  async close(): Promise<void> {
    await this.#notifier?.close();
  }

  async write(message: QueryFileMessage): Promise<void> {
    const written = await this.#write(message).catch((error: unknown) => {
      this.#parts.logger.error({ err: error, uid: message.uid }, 'a request to .vexfs/query failed');
      return -EIO;
    });
    this.#answer(message, (reply) => {
      if (written < 0) reply.error(written);
      else reply.ok(encodeWriteOut(reply.u32, BODY, written));
    });
  }

  read(message: QueryFileMessage): void {
    const { node, position, length } = message;
    const conversation = this.#open.get(node);
    this.#answer(message, (reply) => {
      // Of a predecessor's conversation nothing is left.
      if (conversation === undefined) return reply.error(-ESTALE);
      const end = Math.min(position + length, conversation.bytes);
      if (position < end) reply.u8.set(conversation.text.subarray(position, end), BODY);
      conversation.isCached = true;
      reply.ok(Math.max(0, end - position));
    });
  }

  /** A request that a predecessor had taken in: what became of it is not known. */
  orphaned(slot: number, uniqueLo: number, uniqueHi: number): void {
    this.#answer({ slot, uniqueLo, uniqueHi }, (reply) => reply.error(-EIO));
  }

  /** Lets go of what belongs to files that are gone. */
  tidy(): void {
    for (const node of this.#open.keys())
      if (this.#parts.virtual.queryBytes(node) < 0) this.#open.delete(node);
  }

  async #write(message: QueryFileMessage): Promise<number> {
    const { node, position, data } = message;
    const known = this.#parts.virtual.queryBytes(node);
    if (known < 0) return known;
    let conversation: Conversation | undefined = this.#open.get(node);
    if (conversation?.last !== undefined && (conversation.isBusy || known > 0)) {
      const { last } = conversation;
      if (last.position === position && last.length === data.length) return last.done;
    }
    // Forgotten by a predecessor, or as too much is open.
    if (conversation === undefined && known > 0 && position > 0) return -ESTALE;
    // Truncated, or never written to.
    if (conversation === undefined || (known === 0 && !conversation.isBusy)) conversation = this.#begin(node);
    if (position !== conversation.bytes) return -ESPIPE;
    if (position + data.length > QUERY_BYTES_MAX) return -EFBIG;
    if (!this.#makeRoom(conversation, data.length)) return -ENOMEM;
    conversation.isBusy = true;
    const { length } = data;
    const done = this.#take(conversation, message).finally(() => {
      conversation.isBusy = false;
    });
    conversation.last = { position, length, done };
    return done;
  }

  #begin(node: number): Conversation {
    this.tidy();
    const conversation: Conversation = {
      text: Buffer.alloc(FIRST_BYTES),
      bytes: 0,
      isCached: false,
      begins: 0,
      boundary: new JsonBoundary(),
      last: undefined,
      isBusy: false,
    };
    this.#open.set(node, conversation);
    return conversation;
  }

  /** Forgets the largest of the others, the oldest first, until there is room for so many bytes more: who keeps little keeps it. */
  #makeRoom(conversation: Conversation, bytes: number): boolean {
    if (conversation.bytes + bytes <= conversation.text.length) return true;
    let held = grownTo(conversation, bytes);
    const idle: [node: number, bytes: number][] = [];
    for (const [node, other] of this.#open) {
      if (other === conversation) continue;
      held += other.text.length;
      if (!other.isBusy) idle.push([node, other.text.length]);
    }
    idle.sort((one, other) => other[1] - one[1]);
    for (const [node, freed] of idle) {
      if (held <= QUERY_FILES_BYTES_MAX) return true;
      this.#open.delete(node);
      held -= freed;
    }
    return held <= QUERY_FILES_BYTES_MAX;
  }

  async #take(conversation: Conversation, message: QueryFileMessage): Promise<number> {
    const { data, node } = message;
    if (conversation.isCached) await this.#forgetPages(node);
    conversation.isCached = false;
    const from = conversation.bytes;
    append(conversation, data);
    const answers: string[] = [];
    let end = from;
    while (end < conversation.bytes) {
      end = conversation.boundary.take(conversation.text.subarray(0, conversation.bytes), end);
      if (end < 0) {
        answers.push(
          JSON.stringify({ error: 'a request is a JSON object, such as {"op": "search", "text": "…"}' }),
        );
        end = conversation.bytes;
      } else if (conversation.boundary.values > QUERY_VALUES_MAX) {
        this.#open.delete(node);
        return -E2BIG;
      } else if (conversation.boundary.isWithin) break;
      else {
        const text = conversation.text.toString('utf8', conversation.begins, end);
        if (text.trim() !== '') answers.push(await this.#ask(text, message));
      }
      conversation.begins = end;
    }
    if (answers.length > 0) {
      for (const answer of answers) append(conversation, Buffer.from(`${answer}\n`));
      conversation.begins = conversation.bytes;
    }
    return this.#parts.virtual.setQueryBytes(node, conversation.bytes) < 0 ? -ESTALE : data.length;
  }

  /** What the kernel has of the file is not what it is going to be. It does not need the page's lock for its own write. */
  async #forgetPages(node: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, FORGET_MS);
    });
    this.#notifier ??= new CacheNotifier(this.#parts.connection());
    await Promise.race([this.#notifier.forgetInode(node, QUERY_FILE), late]);
    clearTimeout(timer);
  }

  async #ask(text: string, { uid, gid, pid }: QueryFileMessage): Promise<string> {
    let request: unknown;
    try {
      request = JSON.parse(text);
    } catch (error) {
      return JSON.stringify({ error: `the request is not JSON: ${(error as Error).message}` });
    }
    const who = await credentialsOf(uid, gid, pid);
    const answer = await this.#parts.queries.ask(request, undefined, who);
    return JSON.stringify('refused' in answer ? { error: answer.refused } : answer);
  }

  #answer(
    { slot, uniqueLo, uniqueHi }: Pick<QueryFileMessage, 'slot' | 'uniqueLo' | 'uniqueHi'>,
    encode: (reply: Reply) => void,
  ): void {
    const { pending, sendLate, trace } = this.#parts;
    if (!pending.take(slot, uniqueLo, uniqueHi)) return;
    const reply = this.#reply;
    reply.beginUnique(uniqueLo, uniqueHi);
    encode(reply);
    sendLate(reply);
    pending.answered(slot);
    trace.record(REPLIED, uniqueLo, uniqueHi, -reply.i32[1]!);
  }
}

/** Bytes of the buffer that has room for so many more. */
function grownTo({ text, bytes }: Conversation, more: number): number {
  return Math.max(bytes + more, 2 * text.length);
}

function append(conversation: Conversation, data: Uint8Array): void {
  const bytes = conversation.bytes + data.length;
  if (bytes > conversation.text.length) {
    const larger = Buffer.alloc(grownTo(conversation, data.length));
    conversation.text.copy(larger, 0, 0, conversation.bytes);
    conversation.text = larger;
  }
  conversation.text.set(data, conversation.bytes);
  conversation.bytes = bytes;
}
