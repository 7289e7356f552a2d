import { constants, openSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { UserError } from './user-error.ts';

export type { Logger };

/** From the least important messages on, to none at all. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** pino's numbers; a message is written if its number is at least that of the wanted level. */
const NUMBERS: Readonly<Record<string, number>> = { ...pino.levels.values, silent: Number.POSITIVE_INFINITY };
/** Messages that could not be written are kept up to so many bytes; later ones are lost. */
const KEPT_BYTES = 64 * 1024;
/** Below every level: pino itself leaves nothing out, unless a level is set on the logger. */
const ALL = 'all';

const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;

/** A descriptor that appends. @throws {UserError} if there is none, or `file` is a symbolic link: what that leads to is another's. */
export function openLogFile(file: string): number {
  try {
    return openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UserError(
      `messages cannot be written to ${file}: ${code === 'ELOOP' ? 'it is a symbolic link' : message}`,
    );
  }
}

/**
 * A logger for one thread. Lines are JSON, appended with one synchronous write each, so that several threads can
 * share the file and the last line before a crash is there.
 *
 * @param wanted a level, or something whose `level` is read at every message, so that it can change at any time; a level
 * that is set on the logger itself is stronger
 * @param destination a file path, or a descriptor number (2 in the foreground)
 */
export function openLog(
  name: string,
  wanted: string | { readonly level: string },
  destination: string | number,
): Logger {
  const source = typeof wanted === 'string' ? { level: wanted } : wanted;
  const file = pino.destination({
    dest: typeof destination === 'string' ? openLogFile(destination) : destination,
    sync: true,
    maxLength: KEPT_BYTES,
  });
  // What a full disk has no room for is kept, up to a limit, and written with the next message that it has room for.
  file.on('error', () => {});
  const logger = pino(
    {
      customLevels: { [ALL]: 1 },
      level: ALL,
      base: { actor: name },
      timestamp: pino.stdTimeFunctions.isoTime,
      hooks: {
        logMethod(message, method, level) {
          if (this.level !== ALL || level >= NUMBERS[source.level]!) method.apply(this, message);
        },
      },
    },
    file,
  );
  return logger as unknown as Logger;
}

/** The level that counts: the one set on the logger itself, or the wanted one. */
export function levelOf(logger: Logger, wanted: { readonly level: string }): string {
  return logger.level === ALL ? wanted.level : logger.level;
}
