import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ControlClient, NotRunning } from '../../cli/client.ts';
import { UserError } from '../../runtime/user-error.ts';

interface Request {
  readonly id: number;
  readonly method: string;
  readonly params: Record<string, unknown>;
}

let store: string;
let server: Server | undefined;

beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), 'vexfs-client-'));
});

afterEach(async () => {
  vi.useRealTimers();
  await new Promise((closed) => (server ? server.close(closed) : closed(undefined)));
  server = undefined;
  rmSync(store, { recursive: true, force: true });
});

/** A mount that answers each request with `respond`. */
async function serve(respond: (request: Request, socket: Socket) => void, directory = store): Promise<void> {
  server = createServer((socket) => {
    let received = '';
    socket.on('error', () => {});
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
      const lines = received.split('\n');
      received = lines.pop()!;
      for (const line of lines) respond(JSON.parse(line) as Request, socket);
    });
  });
  const before = process.cwd();
  process.chdir(directory);
  await new Promise<void>((listening) => server!.listen('control.sock', listening));
  process.chdir(before);
}

function send(socket: Socket, message: unknown): void {
  socket.write(`${JSON.stringify(message)}\n`);
}

test('a call is answered with the result of its request', async () => {
  await serve(({ id, method, params }, socket) =>
    send(socket, { id, result: [{ path: method, ...params }] }),
  );
  const client = await ControlClient.connect(store);
  const hits = await client.call('search', { query: 'naïve "quotes"\n', k: 3 });
  expect(hits).toEqual([{ path: 'search', query: 'naïve "quotes"\n', k: 3 }]);
  client.close();
});

test('several calls in flight are answered in any order, split anywhere', async () => {
  const requests: Request[] = [];
  await serve((request, socket) => {
    requests.push(request);
    if (requests.length < 3) return;
    const text = requests
      .toReversed()
      .map(({ id, params }) => `${JSON.stringify({ id, result: [{ path: params.path }] })}\n`)
      .join('');
    socket.write(text.slice(0, 25));
    setTimeout(() => socket.write(text.slice(25)), 20);
  });
  const client = await ControlClient.connect(store);
  const answers = await Promise.all(['a', 'b', 'c'].map((path) => client.call('similar', { path, k: 1 })));
  expect(answers.map((hits) => hits[0]?.path)).toEqual(['a', 'b', 'c']);
  client.close();
});

test('progress is passed on, and holds off the time-out', async () => {
  let say: (message: object) => void = () => {};
  await serve(({ id }, socket) => {
    say = (message) => send(socket, { id, ...message });
    say({ progress: { pending: 5, indexed: 0 } });
  });
  const client = await ControlClient.connect(store);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const seen: unknown[] = [];
  const onProgress = (value: unknown): void => {
    seen.push(value);
    vi.advanceTimersByTime(140);
    const indexed = seen.length;
    if (indexed < 5) say({ progress: { pending: 5 - indexed, indexed } });
    else say({ result: { pending: 0, indexed, passedOver: 0, failed: 0, chunks: 9 } });
  };
  const status = await client.call('indexWait', {}, { timeoutMs: 150, onProgress });
  vi.useRealTimers();
  expect(status.chunks).toBe(9);
  expect(seen).toHaveLength(5);
  expect(seen[0]).toEqual({ pending: 5, indexed: 0 });
  client.close();
});

test("the mount's sentence becomes the error, and the connection stays usable", async () => {
  await serve(({ id, method }, socket) =>
    send(socket, method === 'similar' ? { id, error: { message: '/a has no text' } } : { id, result: [] }),
  );
  const client = await ControlClient.connect(store);
  await expect(client.call('similar', { path: '/a', k: 1 })).rejects.toThrow(new UserError('/a has no text'));
  await expect(client.call('search', { query: 'q', k: 1 })).resolves.toEqual([]);
  client.close();
});

test('a mount that does not answer is reported with the method and the time; a late answer harms nothing', async () => {
  await serve(({ id, method }, socket) => {
    setTimeout(() => send(socket, { id, result: method }), method === 'status' ? 120 : 0);
  });
  const client = await ControlClient.connect(store);
  await expect(client.call('status', {}, { timeoutMs: 50 })).rejects.toThrow(
    `VexFS at ${store} did not answer "status" within 0.05 s`,
  );
  await new Promise((resolve) => setTimeout(resolve, 100));
  await expect(client.call('indexStatus', {})).resolves.toBe('indexStatus');
  client.close();
});

test('a mount that ends while calls wait fails them and those that follow', async () => {
  await serve((_, socket) => socket.destroy());
  const client = await ControlClient.connect(store);
  const calls = [client.call('status', {}), client.call('indexStatus', {})];
  for (const call of calls) await expect(call).rejects.toThrow(/closed the connection; see .*vexfs\.log/);
  await expect(client.call('status', {})).rejects.toThrow(UserError);
});

test('an answer that is not JSON ends the connection with a sentence', async () => {
  await serve((_, socket) => socket.write('HTTP/1.1 400 Bad Request\n'));
  const client = await ControlClient.connect(store);
  await expect(client.call('status', {})).rejects.toThrow(/not JSON/);
});

test('a store whose path is longer than a socket address is reached', async () => {
  const deep = join(store, 'x'.repeat(100), 'y'.repeat(100));
  mkdirSync(deep, { recursive: true });
  await serve(({ id }, socket) => send(socket, { id, result: 1 }), deep);
  const client = await ControlClient.connect(deep);
  await expect(client.call('status', {})).resolves.toBe(1);
  client.close();
});

test('a store that nobody serves is reported as not running', async () => {
  await expect(ControlClient.connect(store)).rejects.toThrow(NotRunning);
  await expect(ControlClient.connect(join(store, 'missing'))).rejects.toThrow(/no VexFS is running/);
  // What a killed server leaves: a name with nobody behind it.
  writeFileSync(join(store, 'control.sock'), '');
  await expect(ControlClient.connect(store)).rejects.toThrow(NotRunning);
});
