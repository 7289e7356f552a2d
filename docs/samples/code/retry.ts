/**
 * Calls a function again when it fails, waiting longer each time, as one does with a network that is down.
 * The wait doubles from `firstDelayMs` and has a random part, so that many clients do not return at once.
 */
export async function retry<T>(
  attempt: () => Promise<T>,
  options: { attempts: number; firstDelayMs: number },
): Promise<T> {
  for (let failed = 1; ; failed++) {
    try {
      return await attempt();
    } catch (error) {
      if (failed === options.attempts) throw error;
      const delay = options.firstDelayMs * 2 ** (failed - 1) * (0.5 + Math.random());
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }
}
