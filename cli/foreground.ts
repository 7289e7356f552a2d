/** A mount served by this process until it is unmounted or told to end by a signal; SIGHUP reads its configuration again. */
import { UserError } from '../runtime/user-error.ts';
import type { MountHandle, MountRequest, RunMount } from './daemon.ts';
import { describeReload } from './reload-report.ts';
import { hasTerminal, say } from './terminal.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** One Ctrl-C under npm arrives twice: from the terminal and from npm. */
const ECHO_MS = 300;

export interface Foreground extends Omit<MountRequest, 'onReady' | 'onNotice'> {
  /** Called once the mount can be used. `signal` is aborted when the mount is about to end. */
  whenReady(stop: () => Promise<void>, signal: AbortSignal): Promise<void>;
}

/** Mounts, serves, unmounts on Ctrl-C. Answers the exit code. @throws {UserError} if it cannot mount. */
export async function serveInForeground(mount: Foreground, runMount: RunMount): Promise<number> {
  const ending = new AbortController();
  let handle: MountHandle | undefined;
  let asked = 0;
  let lastAskedAt = Number.NEGATIVE_INFINITY;
  const hadTerminal = hasTerminal();

  const stop = async (): Promise<void> => {
    ending.abort();
    await handle?.stop('unmount');
  };

  const onSignal = (signal: NodeJS.Signals): void => {
    // The hang-up of a terminal ends what was started from it; without one the signal is the wish to be reconfigured.
    if (signal === 'SIGHUP' && !(hadTerminal && !hasTerminal())) {
      void sayReload(handle);
      return;
    }
    const now = performance.now();
    if (now - lastAskedAt < ECHO_MS) return;
    lastAskedAt = now;
    asked++;
    ending.abort();
    // Still mounting: the signal is obeyed as soon as there is something to unmount.
    if (handle !== undefined) void obey(handle, mount.directory, signal, asked);
    else say('stopping as soon as the mount is complete');
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);

  try {
    let announceReady: (ready: boolean) => void = () => {};
    const ready = new Promise<boolean>((resolve) => {
      announceReady = resolve;
    });
    const { store, directory, options, config, set } = mount;
    handle = await runMount({
      store,
      directory,
      options,
      set,
      ...(config === undefined ? {} : { config }),
      onReady: () => announceReady(true),
      onNotice: say,
    });
    void handle.finished.finally(() => announceReady(false)).catch(() => {});
    if (asked > 0) await obey(handle, directory, 'SIGINT', asked);
    if ((await ready) && !ending.signal.aborted) await mount.whenReady(stop, ending.signal);
    return await handle.finished;
  } catch (error) {
    // Whatever went wrong, the mount must not outlive the command.
    for (let times = 0; times < 2; times++) await handle?.stop('lazy').catch(() => {});
    throw error;
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

async function sayReload(handle: MountHandle | undefined): Promise<void> {
  try {
    if (handle === undefined) say('the mount is not complete yet: nothing to read again');
    else for (const line of describeReload(await handle.reload())) say(line);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    say('the configuration cannot be applied, and nothing changes:');
    for (const line of error.message.split('\n')) say(line);
  }
}

/**
 * The first Ctrl-C unmounts, or says who is in the way; the second, or a signal nobody can repeat, detaches; the third
 * does not wait for those who still use what was detached.
 */
async function obey(
  handle: MountHandle,
  directory: string,
  signal: NodeJS.Signals,
  asked: number,
): Promise<void> {
  try {
    if (asked === 1 && (await unmounts(handle, directory, signal))) return;
    if (asked <= 2) {
      await handle.stop('lazy');
      say(`${directory} is detached, and ends when its users let go; press Ctrl-C again to end it now`);
    } else {
      say(`ending ${directory} under its users`);
      await handle.stop('lazy');
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    say(error.message);
  }
}

/** Whether that is all there is to do for now. */
async function unmounts(handle: MountHandle, directory: string, signal: NodeJS.Signals): Promise<boolean> {
  say(`unmounting ${directory}`);
  try {
    await handle.stop('unmount');
    return true;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const repeatable = signal === 'SIGINT';
    say(repeatable ? `${error.message} (here: press Ctrl-C again)` : error.message);
    return repeatable;
  }
}
