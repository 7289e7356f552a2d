import { type Logger, pino } from 'pino';

export type { Logger };

/**
 * A logger for one thread. Lines are JSON, appended with one synchronous write each, so that several threads can
 * share the file and the last line before a crash is there.
 *
 * @param destination a file path, or a descriptor number (2 in the foreground)
 */
export function openLog(name: string, level: string, destination: string | number): Logger {
  return pino(
    { level, base: { actor: name }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: destination, sync: true, append: true, mkdir: false }),
  );
}
