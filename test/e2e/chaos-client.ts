/**
 * One program that uses the mount while its actors fail: it knows what each of its files must hold, and looks. A call that
 * fails with EIO may have happened or not; then either is right, and what is found counts from there on.
 *
 * Arguments: kind, directory of its own (in the mount), store, seed. Told over IPC: "end", "verify" (after the next
 * mount), "exit".
 */
import { mkdirSync } from 'node:fs';
import { BulkClient } from './chaos-bulk.ts';
import { type Client, codeOf, directory, kind, problem, report, reportNowAndThen } from './chaos-calls.ts';
import { DataClient } from './chaos-data.ts';
import { NamesClient } from './chaos-names.ts';
import { VectorsClient } from './chaos-vectors.ts';

const CLIENTS = { data: DataClient, names: NamesClient, vectors: VectorsClient, bulk: BulkClient };

async function main(): Promise<void> {
  const client: Client = new CLIENTS[kind]();
  let order = '';
  process.on('message', (message: string) => {
    order = message;
  });
  mkdirSync(directory);
  await client.prepare();
  report({ ready: true });
  try {
    while (order !== 'end') {
      await client.step();
      await new Promise(setImmediate);
      reportNowAndThen();
    }
    await client.verify(false);
  } catch (error) {
    // The mount was killed, on purpose or not: the test knows.
    if (codeOf(error) !== 'ENOTCONN') problem((error as Error).stack ?? String(error));
  }
  report({ ready: true });
  while (order !== 'verify') await new Promise((resume) => setTimeout(resume, 10));
  try {
    await client.verify(true);
  } catch (error) {
    problem((error as Error).stack ?? String(error));
  }
  report({ verified: true });
  process.disconnect();
  process.exit();
}

await main();
