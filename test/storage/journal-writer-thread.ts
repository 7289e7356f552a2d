/** A thread that fills a journal with transactions whose every byte follows from the LSN. */
import { parentPort, workerData } from 'node:worker_threads';
import { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import { recordBytes } from '../../runtime/storage/record-header.ts';
import { seeded } from '../seed.ts';
import { viewsOf } from './views.ts';

const { buffer, records, seed } = workerData as { buffer: SharedArrayBuffer; records: number; seed: number };
const journal = new JournalWriter(viewsOf(buffer));
const random = seeded(seed);
let lsn = 1;
while (lsn <= records) {
  const sizes = Array.from({ length: 1 + random(4) }, () => (random(10) === 0 ? random(1500) : random(60)));
  const bytes = sizes.reduce((sum, size) => sum + recordBytes(size), 0);
  while (!journal.hasRoom(bytes)) journal.waitForRoom(bytes);
  for (const size of sizes) {
    const at = journal.append(1 + (lsn % 100), size);
    journal.u8.fill(lsn & 255, at, at + size);
    lsn++;
  }
  journal.commit();
}
parentPort!.postMessage(lsn - 1);
