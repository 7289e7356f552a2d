/**
 * The control socket: JSON lines over a unix socket inside the store, `{id, method, params}` answered by
 * `{id, result}`, `{id, progress}` or `{id, error: {message}}`. Only the owner of the store can open it.
 */
import { chmodSync, closeSync, openSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { MIB } from '../../runtime/config/bounds.ts';
import type { Logger } from '../../runtime/log.ts';
import { UserError } from '../../runtime/user-error.ts';

export type Method = (params: Record<string, unknown>, progress: (value: unknown) => void) => unknown;

const SOCKET_NAME = 'control.sock';
const LINE_MAX = MIB;

export interface ControlSocket {
  close(): Promise<void>;
}

/** Listens at STORE/control.sock, replacing the file a killed process left (the store's lock is held already). */
export async function listenOnControlSocket(
  store: string,
  methods: Record<string, Method>,
  logger: Logger,
): Promise<ControlSocket> {
  rmSync(join(store, SOCKET_NAME), { force: true });
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.on('close', () => clients.delete(client));
    client.on('error', (error) => logger.debug({ error: error.message }, 'a console went away'));
    serveClient(client, methods, logger);
  });
  // A socket's path is limited to 107 bytes; through the directory's descriptor it is always short enough.
  const directory = openSync(store, 'r');
  await new Promise<void>((listening, failed) => {
    server.once('error', failed);
    server.listen(`/proc/self/fd/${directory}/${SOCKET_NAME}`, listening);
  });
  chmodSync(join(store, SOCKET_NAME), 0o600);
  return { close: () => close(server, clients, directory, store) };
}

function close(server: Server, clients: Set<Socket>, directory: number, store: string): Promise<void> {
  return new Promise((closed) => {
    server.close(() => {
      closeSync(directory);
      rmSync(join(store, SOCKET_NAME), { force: true });
      closed();
    });
    for (const client of clients) client.end();
    setTimeout(() => {
      for (const client of clients) client.destroy();
    }, 200).unref();
  });
}

function serveClient(client: Socket, methods: Record<string, Method>, logger: Logger): void {
  let pending = '';
  client.setEncoding('utf8');
  client.on('data', (text: string) => {
    pending += text;
    let end = pending.indexOf('\n');
    while (end >= 0) {
      const line = pending.slice(0, end);
      pending = pending.slice(end + 1);
      if (line.trim() !== '') void answer(client, line, methods, logger);
      end = pending.indexOf('\n');
    }
    if (pending.length > LINE_MAX) {
      send(client, { id: null, error: { message: `a request line is longer than ${LINE_MAX} bytes` } });
      client.destroy();
    }
  });
}

async function answer(
  client: Socket,
  line: string,
  methods: Record<string, Method>,
  logger: Logger,
): Promise<void> {
  let id: unknown = null;
  try {
    const request: unknown = JSON.parse(line);
    if (typeof request !== 'object' || request === null) throw new UserError('a request is a JSON object');
    const { method, params } = request as { method?: unknown; params?: unknown };
    id = (request as { id?: unknown }).id ?? null;
    const call = typeof method === 'string' && Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (!call)
      throw new UserError(
        `there is no method '${String(method)}'; known are ${Object.keys(methods).join(', ')}`,
      );
    const result = await call((params ?? {}) as Record<string, unknown>, (progress) =>
      send(client, { id, progress }),
    );
    send(client, { id, result: result ?? null });
  } catch (error) {
    const expected = error instanceof UserError || error instanceof SyntaxError;
    if (!expected) logger.error({ error, line: line.slice(0, 200) }, 'a control request failed');
    send(client, { id, error: { message: error instanceof Error ? error.message : String(error) } });
  }
}

function send(client: Socket, message: unknown): void {
  if (client.writable) client.write(`${JSON.stringify(message)}\n`);
}
