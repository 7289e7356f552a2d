/** node worker.js SERVER FOLDER BASE DIRECTORY: the server in a worker thread, for two seconds. */
import { Worker } from 'node:worker_threads';

const [server, ...argv] = process.argv.slice(2) as [string, ...string[]];
const worker = new Worker(server, { argv });
worker.on('error', (error) => {
  console.error(error);
  process.exit(1);
});
setTimeout(() => process.exit(0), 2000);
