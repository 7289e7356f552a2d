/** Serves a mount as the command line does, in a process of its own whose threads a test can end. */
import type { Worker } from 'node:worker_threads';
import { runMount } from '../../actors/main/daemon.ts';
import type { Order, Report } from './daemon.ts';

const [store, directory, ...set] = process.argv.slice(2);
/** In the order of their start. */
const workers: Worker[] = [];
process.on('worker', (worker) => workers.push(worker));
const report = (message: Report): void => {
  process.send?.(message);
};

try {
  const handle = await runMount({
    store: store!,
    directory: directory!,
    options: [],
    set,
    onReady: () => {},
    onNotice: (text) => report({ notice: text }),
  });
  process.on('message', (order: Order) => {
    if ('terminate' in order) void workers[order.terminate]!.terminate();
    else {
      handle.stop(order.stop).then(
        () => report({ stopped: true }),
        (error: Error) => report({ refused: error.message }),
      );
    }
  });
  report({ ready: true });
  process.exitCode = await handle.finished;
} catch (error) {
  report({ refused: (error as Error).message });
  process.exitCode = 1;
}
// What else keeps the process alive is a fault that the test sees.
process.disconnect?.();
