import { basename } from 'node:path';
import type { Namespace } from '../../fuse/namespace/namespace.ts';
import { BODY, Reply } from '../../fuse/protocol/reply.ts';
import { answerQuery } from '../../fuse/virtual/query-reply.ts';
import { QUERY_SIMILAR, type VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { EACCES, EINVAL, EIO } from '../../runtime/errno.ts';
import type { Logger } from '../../runtime/log.ts';
import type { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import type { SearchResult } from '../indexer-remote.ts';
import type { SendLate } from '../late-reply.ts';
import type { Pending } from '../pending.ts';
import type { QueryMessage } from '../query-messages.ts';
import { REPLIED, type Trace } from '../trace.ts';
import { credentialsOf } from './credentials.ts';
import { countSearch, type Search } from './search.ts';

export interface AnswerParts {
  readonly namespace: Namespace;
  readonly virtual: VirtualTree;
  readonly search: Search;
  readonly logger: Logger;
  /** Links in one result directory; may change at any time. */
  readonly limits: { readonly results: number };
  readonly pending: Pending;
  readonly sendLate: SendLate;
  readonly trace: Trace;
  readonly metrics: MetricsBlock;
}

/** Answers searches that came through the mount: a LOOKUP waits in the kernel until its reply is written here. */
export class Answers {
  readonly #parts: AnswerParts;
  readonly #reply = new Reply();
  /** Questions that came since the start of a successor. */
  readonly #seen = new Set<number>();
  #isStarting = true;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  /** Never rejects: whatever goes wrong, the LOOKUP is answered. */
  async answer(query: QueryMessage): Promise<void> {
    const { virtual, logger, pending, metrics } = this.#parts;
    const { uniqueLo, uniqueHi, slot, kind, uid, gid, pid, parentLo, parentHi, text } = query;
    if (this.#isStarting) this.#seen.add(keyOf(uniqueLo, uniqueHi));
    const question = { uid, gid, pid, parentLo, parentHi, name: text, epoch: virtual.epoch };
    // No await after the search: the reply buffer is shared by all answers.
    const reply = this.#reply;
    const started = performance.now();
    const found = await this.#find(query).catch((error) => {
      logger.error({ err: error, uid, kind }, 'a search through the mount failed');
      return -EIO;
    });
    countSearch(metrics, started);
    if (!pending.take(slot, uniqueLo, uniqueHi)) return;
    try {
      const results =
        typeof found === 'number' ? found : found.map(({ path }) => ({ name: basename(path), target: path }));
      answerQuery(virtual, reply, uniqueLo, uniqueHi, question, results);
    } catch (error) {
      logger.error({ err: error, uid, kind }, 'a search through the mount was not answered');
      answerQuery(virtual, reply, uniqueLo, uniqueHi, question, -EIO);
    }
    // Not taken: who asked was interrupted, or the connection is over. Nobody else would give the node back.
    const isTaken = this.#parts.sendLate(reply) === 0;
    pending.answered(slot);
    this.#parts.trace.record(REPLIED, uniqueLo, uniqueHi, -reply.i32[1]!);
    if (!isTaken && reply.i32[1] === 0) {
      virtual.forget(reply.u32[BODY >> 2]!, reply.u32[(BODY >> 2) + 1]!, 1);
    }
  }

  /**
   * A successor, some time after its start: of the questions that waited when it started, those that no lane brought had
   * been taken in by its predecessor. They are answered with EIO.
   */
  orphaned(slot: number, uniqueLo: number, uniqueHi: number): void {
    const { pending, sendLate } = this.#parts;
    if (this.#seen.has(keyOf(uniqueLo, uniqueHi)) || !pending.take(slot, uniqueLo, uniqueHi)) return;
    const reply = this.#reply;
    reply.beginUnique(uniqueLo, uniqueHi);
    reply.error(-EIO);
    sendLate(reply);
    pending.answered(slot);
  }

  /** From now on it need not be remembered which questions came. */
  startedUp(): void {
    this.#isStarting = false;
    this.#seen.clear();
  }

  async #find(query: QueryMessage): Promise<SearchResult[] | number> {
    const { kind, uid, gid, pid, ino, text, uniqueLo, uniqueHi } = query;
    const { namespace, search, limits, trace } = this.#parts;
    const who = await credentialsOf(uid, gid, pid);
    if (kind !== QUERY_SIMILAR) {
      const question = new TextDecoder().decode(text);
      if (question.trim() === '') return -EINVAL;
      return trace.onBehalf(uniqueLo, uniqueHi, () => search.byText(question, limits.results, who));
    }
    if (!namespace.canRead(ino, who.uid, who.gids)) return -EACCES;
    return search.byFile(ino, limits.results, who);
  }
}

/** The kernel's ids count up from 1 and stay far below 2^53. */
function keyOf(uniqueLo: number, uniqueHi: number): number {
  return uniqueHi * 2 ** 32 + uniqueLo;
}
