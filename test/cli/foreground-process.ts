/** A process that serves a mount that is not real: arguments are how it behaves, lines on stdout what happened. */
import type { RunMount } from '../../cli/daemon.ts';
import { serveInForeground } from '../../cli/foreground.ts';
import { UserError } from '../../runtime/user-error.ts';

const behaviour = process.argv[2]!;
/** Of these, somebody uses the mount. */
const BUSY = ['busy', 'held', 'interrupted twice'];
let detached = 0;
const note = (text: string): void => void process.stdout.write(`${text}\n`);

const runMount: RunMount = async ({ directory, onReady }) => {
  if (behaviour === 'refuses') throw new UserError('the store is locked');
  if (behaviour === 'slow') {
    note('mounting');
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  // A server keeps the process alive.
  const alive = setInterval(() => {}, 1000);
  let finish: (code: number) => void = () => {};
  const finished = new Promise<number>((resolve) => {
    finish = resolve;
  });
  setImmediate(onReady);
  return {
    finished,
    reload: async () => {
      if (behaviour === 'mistaken') throw new UserError('vexfs.toml:2:1: workers.fuse is 0');
      return { applied: [{ key: 'log.level', from: '"info"', to: '"debug"' }], needsRemount: [] };
    },
    stop: async (reason) => {
      note(`stop ${reason}`);
      if (BUSY.includes(behaviour) && reason === 'unmount')
        throw new UserError(`${directory} is in use by 17 (vim)`);
      if (behaviour === 'held' && ++detached === 1) return;
      clearInterval(alive);
      finish(0);
    },
  };
};

try {
  process.exitCode = await serveInForeground(
    {
      store: '/store',
      directory: '/mnt',
      options: [],
      set: [],
      whenReady: async (stop) => {
        note('ready');
        if (behaviour === 'interrupted twice')
          for (let n = 0; n < 2; n++) process.kill(process.pid, 'SIGINT');
        if (behaviour === 'once') await stop();
        if (behaviour === 'fails') throw new UserError('the show failed');
      },
    },
    runMount,
  );
} catch (error) {
  note((error as Error).message);
  process.exitCode = 1;
}
