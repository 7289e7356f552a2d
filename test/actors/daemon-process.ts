/** Serves a mount as the command line does, in a process of its own whose actors a test can harm. */
import { runMount } from '../../actors/main/daemon.ts';
import { H_BROKEN, H_MUTEX, H_SEQUENCE } from '../../fuse/namespace/layout.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { Mutex } from '../../runtime/sync/mutex.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { Order, Report } from './daemon.ts';

const [store, directory, ...set] = process.argv.slice(2);
const report = (message: Report): void => {
  // What was asked for may end after the mount.
  if (process.connected) process.send!(message);
};

/** An actor that has no thread at this moment cannot be harmed. */
function tryTo(harm: () => void): void {
  try {
    harm();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
  }
}

let arena: Arena | undefined;
const create = Arena.create.bind(Arena);
Arena.create = (plan) => {
  arena = create(plan);
  return arena;
};

/**
 * What a thread that throws in the middle of a change leaves, and worse: no name can be found any more. With the lock, as it
 * would have it: whoever is within a change of its own finishes that.
 */
function wreckTables(): void {
  const { u32, i32 } = arena!.region('namespace');
  const mutex = new Mutex(i32, H_MUTEX);
  while (!mutex.tryLock());
  Atomics.add(u32, H_SEQUENCE, 1);
  arena!.region('dentry-hash').u32.fill(0);
  Atomics.store(u32, H_BROKEN, 1);
  mutex.unlock();
}

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
    const { supervisor } = handle;
    if ('terminate' in order) tryTo(() => supervisor.end(order.terminate));
    else if ('drill' in order) tryTo(() => supervisor.drill(order.drill, order.fault));
    else if ('wreck' in order) wreckTables();
    else if ('describe' in order) report({ actors: supervisor.describe() });
    else if ('restart' in order || 'rebuild' in order) {
      const done = 'restart' in order ? supervisor.restart(order.restart) : supervisor.rebuild();
      done.then(
        () => report({ restarted: true }),
        (error: Error) => report({ refused: error.message }),
      );
    } else {
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
