import type { Operations } from '../../fuse/operations/operations.ts';
import { FUSE_INIT } from '../../fuse/protocol/abi.ts';
import { negotiate, wantedFlags } from '../../fuse/protocol/init.ts';
import type { Reply } from '../../fuse/protocol/reply.ts';
import type { Request } from '../../fuse/protocol/request.ts';
import { type Dispatcher, REPLY_READY } from '../../fuse/session/server.ts';
import type { Logger } from '../../runtime/log.ts';

/** Answers INIT, the kernel's first request, whichever thread gets it; everything else is an operation. */
export class Handshake implements Dispatcher {
  readonly #operations: Operations;
  readonly #writeback: boolean;
  readonly #logger: Logger;

  constructor(operations: Operations, writeback: boolean, logger: Logger) {
    this.#operations = operations;
    this.#writeback = writeback;
    this.#logger = logger;
  }

  dispatch(request: Request, reply: Reply): number {
    if (request.opcode !== FUSE_INIT) return this.#operations.dispatch(request, reply);
    // Files change through this mount alone, so only their own writes make cached pages stale.
    const agreed = negotiate(
      request,
      reply,
      wantedFlags({ writeback: this.#writeback, dataCache: 'explicit' }),
    );
    this.#logger.info({ agreed }, agreed ? 'the kernel agreed on a protocol' : 'no protocol agreed yet');
    return REPLY_READY;
  }

  undelivered(request: Request, reply: Reply): void {
    if (request.opcode !== FUSE_INIT) this.#operations.undelivered(request, reply);
  }
}
