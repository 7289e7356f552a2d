/**
 * The control socket: JSON lines over a unix socket inside the store, `{id, method, params}` answered by
 * `{id, result}`, `{id, progress}` or `{id, error: {message}}`, in any order. Only the owner of the store can open it.
 *
 * A request may be followed by bytes: `{…, "payload": N}`, the newline, then N bytes.
 *
 * A client costs a bounded amount of memory whatever it does: it is not read from while it has CALLS_MAX requests
 * open or leaves OUTPUT_MAX bytes of answers unread, and progress it does not read in time is left out.
 */
import { setMaxListeners } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { MIB } from '../../runtime/config/bounds.ts';
import type { Logger } from '../../runtime/log.ts';
import { UserError } from '../../runtime/user-error.ts';
import { type Received, RequestReader } from './request-reader.ts';

export interface Call {
  /** Sends an intermediate value. False: it is left out, as the client has not read what came before it. */
  progress(value: unknown): boolean;
  /** The bytes that followed the request. */
  readonly payload: Uint8Array | undefined;
  /** Aborted when the client is gone, or the socket closes: nobody wants the answer any more. */
  readonly signal: AbortSignal;
}

export type Method = (params: Record<string, unknown>, call: Call) => unknown;

const SOCKET_NAME = 'control.sock';
const CLIENTS_MAX = 64;
const CALLS_MAX = 16;
const OUTPUT_MAX = 4 * MIB;
/** How long a client that does not read may hold up the end. */
const GOODBYE_MS = 200;

export interface ControlSocket {
  /** Answers what is open with an error, and ends. */
  close(): Promise<void>;
}

/** Listens at STORE/control.sock, replacing the file a killed process left (the store's lock is held already). */
export async function listenOnControlSocket(
  store: string,
  methods: Readonly<Record<string, Method>>,
  logger: Logger,
): Promise<ControlSocket> {
  const path = join(store, SOCKET_NAME);
  const clients = new Set<Client>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const client = new Client(socket, methods, logger);
    clients.add(client);
    socket.on('close', () => clients.delete(client));
  });
  server.maxConnections = CLIENTS_MAX;
  rmSync(path, { force: true });
  // A socket's path is limited to 107 bytes; through the directory's descriptor it is always short enough.
  const directory = openSync(store, 'r');
  try {
    await listen(server, `/proc/self/fd/${directory}/${SOCKET_NAME}`);
  } catch (error) {
    closeSync(directory);
    throw new UserError(`the control socket ${path} cannot be made: ${(error as Error).message}`);
  }
  server.on('error', (error) => logger.error({ err: error }, 'the control socket could not accept a client'));
  return {
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      await Promise.all([...clients].map((client) => client.close()));
      await closed;
      closeSync(directory);
      rmSync(path, { force: true });
    },
  };
}

/** The socket appears with the owner's permissions only: there is no moment at which others could open it. */
async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((listening, failed) => {
    server.once('error', failed);
    const mask = process.umask(0o177);
    server.listen(path, () => {
      server.off('error', failed);
      listening();
    });
    process.umask(mask);
  });
}

class Client {
  readonly #socket: Socket;
  readonly #methods: Readonly<Record<string, Method>>;
  readonly #logger: Logger;
  readonly #gone = new AbortController();
  /** Whole requests that wait. */
  readonly #requests: Received[] = [];
  readonly #input = new RequestReader();
  #open = 0;
  #hasEnded = false;

  constructor(socket: Socket, methods: Readonly<Record<string, Method>>, logger: Logger) {
    this.#socket = socket;
    // Each open call listens to it, and so may its method.
    setMaxListeners(2 * CALLS_MAX, this.#gone.signal);
    this.#methods = methods;
    this.#logger = logger;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('drain', () => this.#advance());
    socket.on('end', () => this.#end());
    socket.on('error', (error) => logger.debug({ error: error.message }, 'a console went away'));
    socket.on('close', () => this.#gone.abort(new UserError('the client is gone')));
  }

  /** Ends the connection after what is still to be said, if the client reads it soon. */
  async close(): Promise<void> {
    if (this.#socket.destroyed) return;
    const closed = new Promise((resolve) => this.#socket.once('close', resolve));
    this.#gone.abort(new UserError('the mount has ended'));
    // The calls that were open answer now.
    await new Promise(setImmediate);
    this.#socket.resume();
    this.#socket.end();
    const timer = setTimeout(() => this.#socket.destroy(), GOODBYE_MS);
    await closed;
    clearTimeout(timer);
  }

  #receive(bytes: Buffer): void {
    const refused = this.#input.take(bytes, this.#requests);
    if (refused === undefined) this.#advance();
    else this.#refuse(refused);
  }

  /** The end of the stream ends a line too. */
  #end(): void {
    this.#hasEnded = true;
    this.#input.end(this.#requests);
    this.#advance();
  }

  #refuse(message: string): void {
    this.#socket.removeAllListeners('data').resume();
    this.#send({ id: null, error: { message } });
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), GOODBYE_MS).unref();
  }

  /** Takes requests, and reads more, while there is room for their answers; a client that has ended is let go. */
  #advance(): void {
    while (this.#requests.length > 0 && this.#hasRoom()) this.#take(this.#requests.shift()!);
    if (this.#requests.length > 0) this.#socket.pause();
    else this.#socket.resume();
    if (this.#hasEnded && this.#requests.length === 0 && this.#open === 0) this.#socket.end();
  }

  #hasRoom(): boolean {
    return this.#open < CALLS_MAX && this.#socket.writableLength < OUTPUT_MAX;
  }

  #take(request: Received): void {
    if (request.line.trim() === '' || this.#gone.signal.aborted) return;
    this.#open++;
    void this.#answer(request).finally(() => {
      this.#open--;
      this.#advance();
    });
  }

  async #answer({ line, request: known, payload }: Received): Promise<void> {
    let id: unknown = null;
    try {
      const request: unknown = known ?? JSON.parse(line);
      if (typeof request !== 'object' || request === null) throw new UserError('a request is a JSON object');
      const { method, params } = request as { method?: unknown; params?: unknown };
      id = (request as { id?: unknown }).id ?? null;
      const result = await this.#call(id, method, params ?? {}, payload);
      this.#send({ id, result: result ?? null });
    } catch (error) {
      const expected = error instanceof UserError || error instanceof SyntaxError;
      if (!expected) this.#logger.error({ err: error, line: line.slice(0, 200) }, 'a control request failed');
      this.#send({ id, error: { message: error instanceof Error ? error.message : String(error) } });
    }
  }

  /** The method's result. Rejects, and leaves the method to itself, when the client or the mount is gone. */
  async #call(
    id: unknown,
    method: unknown,
    params: unknown,
    payload: Uint8Array | undefined,
  ): Promise<unknown> {
    const methods = this.#methods;
    const run = typeof method === 'string' && Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (!run) {
      const known = Object.keys(methods).join(', ');
      throw new UserError(`there is no method '${String(method)}'; known are ${known}`);
    }
    if (typeof params !== 'object') throw new UserError('the parameters are a JSON object');
    const { signal } = this.#gone;
    let leave: () => void = () => {};
    const gone = new Promise<never>((_, reject) => {
      leave = () => reject(signal.reason);
      signal.addEventListener('abort', leave);
    });
    try {
      const progress = (value: unknown): boolean => {
        if (this.#socket.writableNeedDrain) return false;
        this.#send({ id, progress: value });
        return true;
      };
      return await Promise.race([
        run(params as Record<string, unknown>, { progress, signal, payload }),
        gone,
      ]);
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  #send(message: unknown): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(message)}\n`);
  }
}
