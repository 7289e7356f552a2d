/** The control socket against clients that do not behave. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Call, type ControlSocket, listenOnControlSocket } from '../../actors/main/control-socket.ts';
import { type Received, RequestReader } from '../../actors/main/request-reader.ts';
import { CONTROL_LINE_MAX, CONTROL_PAYLOAD_MAX } from '../../runtime/config/bounds.ts';
import { openLog } from '../../runtime/log.ts';
import { UserError } from '../../runtime/user-error.ts';

let store: string;
let server: ControlSocket;
let calls: number;
let hanging: Call[];
const sockets: Socket[] = [];

const methods = {
  echo: (params: Record<string, unknown>) => {
    calls++;
    return params;
  },
  big: () => {
    calls++;
    return 'x'.repeat(100_000);
  },
  refuse: () => {
    throw new UserError('not like this');
  },
  crash: () => {
    throw new TypeError('a bug');
  },
  hang: (_: Record<string, unknown>, call: Call) => {
    hanging.push(call);
    return new Promise(() => {});
  },
};

beforeEach(async () => {
  store = mkdtempSync(join(tmpdir(), 'vexfs-control-'));
  calls = 0;
  hanging = [];
  server = await listenOnControlSocket(store, methods, openLog('test', 'silent', 2));
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
  rmSync(store, { recursive: true });
});

const path = (): string => join(store, 'control.sock');

async function client(): Promise<Socket> {
  const socket = connect(path());
  socket.on('error', () => {});
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

const pause = (ms: number): Promise<void> => new Promise((resume) => setTimeout(resume, ms));

/** The next `count` answers, by id. */
async function answers(socket: Socket, count: number): Promise<Map<unknown, Record<string, unknown>>> {
  const found = new Map<unknown, Record<string, unknown>>();
  let text = '';
  socket.setEncoding('utf8');
  for await (const piece of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
    text += piece;
    const lines = text.split('\n');
    text = lines.pop()!;
    for (const line of lines) {
      const answer = JSON.parse(line) as Record<string, unknown>;
      found.set(answer.id, answer);
    }
    if (found.size >= count) break;
  }
  return found;
}

const line = (id: number, method: string, params: unknown = {}): string =>
  `${JSON.stringify({ id, method, params })}\n`;

test('the socket is the owner’s alone', () => {
  expect(statSync(path()).mode & 0o777).toBe(0o600);
});

test('results, refusals, bugs, unknown methods and what is no request are answered under their ids', async () => {
  const socket = await client();
  socket.write(
    [
      line(1, 'echo', { a: 1 }),
      line(2, 'refuse'),
      line(3, 'crash'),
      line(4, 'toString'),
      line(5, 'echo', 7),
      '\n',
      'no json\n',
    ].join(''),
  );
  const found = await answers(socket, 6);
  expect(found.get(1)).toEqual({ id: 1, result: { a: 1 } });
  expect(found.get(2)).toEqual({ id: 2, error: { message: 'not like this' } });
  expect(found.get(3)).toEqual({ id: 3, error: { message: 'a bug' } });
  expect(JSON.stringify(found.get(4))).toContain("no method 'toString'");
  expect(JSON.stringify(found.get(5))).toContain('JSON object');
  expect(found.get(null)).toBeDefined();
});

test('a request that comes letter by letter, and the next one behind it, are both answered', async () => {
  const socket = await client();
  for (const letter of line(1, 'echo') + line(2, 'echo', { text: 'ä€😀' })) socket.write(letter);
  const found = await answers(socket, 2);
  expect(found.get(2)).toEqual({ id: 2, result: { text: 'ä€😀' } });
});

test('a last line without an end is answered when the client has nothing more to say', async () => {
  const socket = await client();
  socket.end(line(1, 'echo').trim());
  expect((await answers(socket, 1)).get(1)).toEqual({ id: 1, result: {} });
  await once(socket, 'close');
});

test('a line that is too long is refused in words, and the connection ends', async () => {
  const socket = await client();
  for (let sent = 0; sent <= CONTROL_LINE_MAX; sent += 65_536) socket.write('x'.repeat(65_536));
  const found = await answers(socket, 1);
  expect(JSON.stringify(found.get(null))).toContain('longer than');
  await once(socket.resume(), 'close');
});

test('a client that asks and never reads stops being served; others do not notice', async () => {
  const greedy = await client();
  greedy.pause();
  for (let id = 0; id < 2000; id++) greedy.write(line(id, 'big'));
  const polite = await client();
  polite.write(line(1, 'echo'));
  await answers(polite, 1);
  await pause(300);
  // 100 KB each: about 40 until the limit, and what the kernel's socket buffers hold.
  expect(calls).toBeLessThan(200);
  const found = await answers(greedy.resume(), 2000);
  expect(found.size).toBe(2000);
});

test('no more than a few calls of one client are open at once', async () => {
  const socket = await client();
  for (let id = 0; id < 500; id++) socket.write(line(id, 'hang'));
  await pause(200);
  expect(hanging.length).toBeLessThanOrEqual(16);
});

test('progress that a client does not read is left out', async () => {
  const socket = await client();
  socket.pause();
  socket.write(line(1, 'hang'));
  while (hanging.length === 0) await pause(5);
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
  for (let i = 0; i < 100_000; i++) {
    hanging[0]!.progress('x'.repeat(1000));
    if (i % 1000 === 0) await pause(0);
  }
  const after = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
  expect(after - before).toBeLessThan(50e6);
});

test('a client that goes away tells the method so', async () => {
  const socket = await client();
  socket.write(line(1, 'hang'));
  while (hanging.length === 0) await pause(5);
  socket.destroy();
  // It is noticed by the next thing that is sent.
  while (!hanging[0]!.signal.aborted) {
    hanging[0]!.progress(1);
    await pause(5);
  }
});

test('ten clients at once are all answered', async () => {
  const all = await Promise.all(Array.from({ length: 10 }, client));
  for (const socket of all) socket.write(line(1, 'echo'));
  for (const socket of all) expect((await answers(socket, 1)).size).toBe(1);
});

test('closing answers what is open, waits for nobody long, and takes the file away', async () => {
  const patient = await client();
  patient.write(line(1, 'hang'));
  const deaf = await client();
  deaf.pause();
  for (let id = 0; id < 100; id++) deaf.write(line(id, 'big'));
  const idle = await client();
  while (hanging.length === 0) await pause(5);
  const idleClosed = once(idle.resume(), 'close');
  const closed = server.close();
  expect((await answers(patient, 1)).get(1)).toEqual({ id: 1, error: { message: 'the mount has ended' } });
  const started = performance.now();
  await closed;
  expect(performance.now() - started).toBeLessThan(2000);
  expect(hanging[0]!.signal.aborted).toBe(true);
  await idleClosed;
  expect(existsSync(path())).toBe(false);
  server = { close: async () => {} };
});

test('the file that a killed process left is replaced', async () => {
  await server.close();
  writeFileSync(path(), '');
  server = await listenOnControlSocket(store, methods, openLog('test', 'silent', 2));
  const socket = await client();
  socket.write(line(1, 'echo'));
  expect((await answers(socket, 1)).size).toBe(1);
});

test('a place where no socket can be made is told in a sentence', async () => {
  await expect(listenOnControlSocket('/proc/self', methods, openLog('test', 'silent', 2))).rejects.toThrow(
    /control\.sock cannot be made/,
  );
});

test('bytes that follow requests come with them, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 }),
      (payloads, cuts) => {
        const stream = Buffer.concat(
          payloads.flatMap((payload, id) => [
            Buffer.from(`${JSON.stringify({ id, payload: payload.length })}\n`),
            Buffer.from(payload),
          ]),
        );
        const reader = new RequestReader();
        const out: Received[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const end = at + cuts[i % cuts.length]!;
          expect(reader.take(stream.subarray(at, end), out)).toBeUndefined();
          at = end;
        }
        const expected = payloads.map((payload) => (payload.length === 0 ? [] : [...payload]));
        expect(out.map(({ payload }) => [...(payload ?? [])])).toEqual(expected);
        expect(out.map(({ line }) => (JSON.parse(line) as { id: number }).id)).toEqual(
          payloads.map((_, id) => id),
        );
      },
    ),
  );
});

test('a payload that is announced larger than any is refused in one sentence', () => {
  const refused = new RequestReader().take(Buffer.from(`{"payload": ${CONTROL_PAYLOAD_MAX + 1}}\n`), []);
  expect(refused).toContain('larger than');
});
