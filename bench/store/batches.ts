/** Vectors put ten thousand at a time through the control socket, durable when each batch is answered. */
import fs from 'node:fs';
import path from 'node:path';
import { ControlClient } from '../../cli/client.ts';
import type { VectorsSet } from '../../cli/protocol.ts';
import type { Effort, Part, Sample } from '../runtime/measure.ts';
import { mountStore } from './workspace.ts';

const DIMENSION = 128;
const BATCH = 10_000;
const BATCHES = 5;
const TARGET = 50_000;
const CONNECT_MS = 10_000;
const NEW = `put, ${BATCH.toLocaleString('en')} at once, on files that are there`;
const MADE = `put, ${BATCH.toLocaleString('en')} at once, each with its file`;

/** Vectors a second, over all batches. */
async function put(client: ControlClient, size: number, batches: number, round: number): Promise<number> {
  let milliseconds = 0;
  for (let batch = 0; batch < batches; batch++) {
    const values = Float32Array.from({ length: size * DIMENSION }, (_, i) =>
      Math.sin(i * 1.3 + batch + 7 * round),
    );
    const paths = Array.from({ length: size }, (_, i) => `/d/${batch}-${i}`);
    const payload = new Uint8Array(values.buffer);
    const begin = performance.now();
    const answer = (await client.call(
      'query',
      { op: 'vectors', paths, create: true },
      { payload },
    )) as VectorsSet;
    milliseconds += performance.now() - begin;
    if (answer.set !== size) throw new Error(`only ${answer.set} of ${size} vectors were set`);
  }
  return (size * batches) / (milliseconds / 1000);
}

/** The mount listens a moment after it is there. */
async function connected(store: string): Promise<ControlClient> {
  for (const deadline = performance.now() + CONNECT_MS; ; ) {
    try {
      return await ControlClient.connect(store);
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resume) => setTimeout(resume, 20));
    }
  }
}

/** Each round a fresh store; the first batch, in which the code gets warm, does not count. */
export async function batches(effort: Effort, workspace: string): Promise<Part> {
  const size = effort.quick ? 1000 : BATCH;
  const count = effort.quick ? 1 : BATCHES;
  const samples: Sample[] = [];
  for (let round = 0; round < effort.rounds; round++) {
    const home = path.join(workspace, `round-${round}`);
    fs.mkdirSync(home);
    const server = await mountStore(home);
    let client: ControlClient | undefined;
    try {
      client = await connected(path.join(home, 'store'));
      fs.mkdirSync(path.join(server.directory, 'd'));
      await put(client, Math.min(size, 2000), 1, -1);
      samples.push({ round, row: MADE, peer: 'vexfs', value: await put(client, size, count, 0) });
      samples.push({ round, row: NEW, peer: 'vexfs', value: await put(client, size, count, 1) });
    } finally {
      client?.close();
      await server.stop();
      fs.rmSync(home, { recursive: true });
    }
    effort.say(`batches, round ${round + 1} of ${effort.rounds}: ${Math.round(samples.at(-1)!.value)}/s`);
  }
  return {
    name: 'batches',
    rows: [MADE, NEW].map((name) => ({
      name,
      unit: '/s',
      subject: 'vexfs',
      peers: ['vexfs'],
      least: TARGET,
    })),
    notes: [
      `${DIMENSION} float32 each, ${count} batches in a row, each durable before the next; the request and its answer over the control socket included.`,
    ],
    samples,
  };
}
