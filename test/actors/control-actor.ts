/** An actor that does nothing but answer main, in the run loop of its kind. */
import { workerData } from 'node:worker_threads';
import { attachContext, type ThreadData } from '../../actors/context.ts';
import { runOnDoorbell, runOnEventLoop, runOnSystemCall } from '../../runtime/scheduling/run-loop.ts';
import { PollSet } from '../../runtime/system/libc.ts';

const data = workerData as ThreadData;
const context = attachContext(data);
context.remote.facts = () => ({ own: context.name });
const onMessage = (): void => {};
const stop = (): void => {};

const { kind } = context.topology.actor(context.name);
if (kind === 'io') runOnDoorbell(context, { onMessage, stop, idle: () => Number.POSITIVE_INFINITY });
else if (kind === 'indexer') await runOnEventLoop(context, { onMessage, stop });
else {
  const { doorbell } = context.mailbox;
  const eventfd = data.eventfds[0]!;
  doorbell.armDescriptor(eventfd);
  const pollSet = new PollSet(eventfd);
  const serve = (drain: () => void, stopRequested: () => boolean): void => {
    while (!stopRequested()) {
      const seen = doorbell.seen();
      drain();
      if (stopRequested() || !doorbell.park(seen)) continue;
      pollSet.wait(1000);
      doorbell.unpark(pollSet.events(0) !== 0);
    }
  };
  runOnSystemCall(context, { onMessage, stop, serve });
}
