/**
 * Repeats `attempt` until the lane has room for the message. A full lane drains within microseconds, but an event loop
 * may not block for it: who is to drain it may be waiting for this thread.
 */
export async function untilSent(attempt: () => boolean): Promise<void> {
  while (!attempt()) await new Promise((resume) => setTimeout(resume, 1));
}
