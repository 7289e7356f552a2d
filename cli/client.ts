/**
 * The other end of a mount's control socket: JSON lines `{id, method, params}` out, `{id, result}`,
 * `{id, progress}` or `{id, error: {message}}` back, in any order.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { UserError } from '../runtime/user-error.ts';
import type { Methods } from './protocol.ts';

const CONNECT_TIMEOUT_MS = 5000;
const CALL_TIMEOUT_MS = 30_000;

interface Pending {
  readonly method: string;
  resolve(result: unknown): void;
  reject(error: Error): void;
  progress(value: unknown): void;
}

interface Answer {
  readonly id?: unknown;
  readonly result?: unknown;
  readonly progress?: unknown;
  readonly error?: { readonly message?: unknown };
}

export interface CallOptions {
  /** Silence (no answer and no progress) after which the call fails. Infinity = wait for ever. */
  readonly timeoutMs?: number;
  readonly onProgress?: (value: unknown) => void;
  /** Bytes that go with the request. */
  readonly payload?: Uint8Array;
}

/** Nobody listens: the process that served the store is gone, or never was. */
export class NotRunning extends UserError {
  override name = 'NotRunning';
}

export class ControlClient {
  readonly #socket: Socket;
  readonly #store: string;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #received = '';
  #closedBecause: UserError | undefined;

  private constructor(socket: Socket, store: string) {
    this.#socket = socket;
    this.#store = store;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#receive(text));
    socket.on('error', (error) => this.#end(`the connection to VexFS at ${store} broke: ${error.message}`));
    socket.on('close', () => this.#end(`VexFS at ${store} closed the connection; see ${store}/vexfs.log`));
  }

  /** @throws {UserError} if nothing listens at STORE/control.sock or it belongs to another user. */
  static async connect(store: string): Promise<ControlClient> {
    // A socket's path is limited to 107 bytes; through the directory's descriptor it is always short enough.
    const directory = openStore(store);
    try {
      return new ControlClient(await connectTo(`/proc/self/fd/${directory}/control.sock`, store), store);
    } finally {
      closeSync(directory);
    }
  }

  /** @throws {UserError} the mount's own sentence, or that it did not answer. */
  call<M extends keyof Methods>(
    method: M,
    params: Methods[M]['params'],
    options: CallOptions = {},
  ): Promise<Methods[M]['result']> {
    const { timeoutMs = CALL_TIMEOUT_MS, onProgress, payload } = options;
    if (this.#closedBecause !== undefined) return Promise.reject(this.#closedBecause);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const expire = (): void => {
        this.#pending.delete(id);
        const seconds = timeoutMs / 1000;
        reject(new UserError(`VexFS at ${this.#store} did not answer "${method}" within ${seconds} s`));
      };
      const arm = (): void => {
        clearTimeout(timer);
        if (timeoutMs !== Number.POSITIVE_INFINITY) timer = setTimeout(expire, timeoutMs);
      };
      arm();
      this.#pending.set(id, {
        method,
        resolve: (result) => {
          clearTimeout(timer);
          resolve(result as Methods[M]['result']);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
        progress: (value) => {
          arm();
          onProgress?.(value);
        },
      });
      const announced = payload === undefined ? {} : { payload: payload.length };
      this.#socket.write(`${JSON.stringify({ id, method, params, ...announced })}\n`);
      if (payload !== undefined) this.#socket.write(payload);
    });
  }

  close(): void {
    this.#end('the connection was closed');
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#received += text;
    const lines = this.#received.split('\n');
    this.#received = lines.pop()!;
    for (const line of lines) if (line !== '') this.#answer(line);
  }

  #answer(line: string): void {
    let answer: Answer;
    try {
      answer = JSON.parse(line) as Answer;
    } catch {
      this.#end(`VexFS at ${this.#store} sent an answer that is not JSON; is it of another version?`);
      this.#socket.destroy();
      return;
    }
    // An answer to a call that timed out has nobody waiting any more.
    const pending = this.#pending.get(answer.id as number);
    if (pending === undefined) return;
    if (answer.progress !== undefined) {
      pending.progress(answer.progress);
      return;
    }
    this.#pending.delete(answer.id as number);
    if (answer.error === undefined) pending.resolve(answer.result);
    else pending.reject(new UserError(String(answer.error.message ?? `"${pending.method}" failed`)));
  }

  #end(reason: string): void {
    this.#closedBecause ??= new UserError(reason);
    for (const pending of this.#pending.values()) pending.reject(this.#closedBecause);
    this.#pending.clear();
  }
}

function openStore(store: string): number {
  try {
    return openSync(store, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw connectError(store, error as NodeJS.ErrnoException);
  }
}

function connectTo(path: string, store: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const timer = setTimeout(() => {
      socket.destroy();
      reject(
        new UserError(`VexFS at ${store} did not accept a connection within ${CONNECT_TIMEOUT_MS / 1000} s`),
      );
    }, CONNECT_TIMEOUT_MS);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(connectError(store, error));
    });
  });
}

function connectError(store: string, error: NodeJS.ErrnoException): UserError {
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return new NotRunning(
        `no VexFS is running on the store ${store}; mount it with "vexfs mount ${store} DIR"`,
      );
    case 'EACCES':
    case 'EPERM':
      return new UserError(
        `the store ${store} belongs to another user; only its owner or root may talk to it`,
      );
    default:
      return new UserError(`the control socket in ${store} cannot be opened: ${error.message}`);
  }
}
