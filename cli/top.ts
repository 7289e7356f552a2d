import type { Command } from 'commander';
import { UserError } from '../runtime/user-error.ts';
import { seconds } from './arguments.ts';
import type { ControlClient } from './client.ts';
import { findMount, withMount } from './mounts.ts';
import type { TopSample } from './protocol.ts';
import { print, printJson } from './terminal.ts';
import { frame, SORT_KEYS, type SortKey } from './top-frame.ts';

/** The alternate screen, without a cursor; and back. */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';
const CTRL_C = '\u0003';

const HELP = `
Keys: q leaves; c, m, r, w and n sort the threads by CPU, messages, requests, waiting messages, or name.
The times of requests are those of the last interval. "--once" prints one screen, for scripts.`;

interface TopOptions {
  readonly interval: number;
  readonly once?: true;
  readonly json?: true;
}

export function addTop(program: Command): void {
  program
    .command('top')
    .summary('watch a running mount')
    .description(
      'Watch the threads of a running mount, its requests and their times, its memory, index and storage.',
    )
    .argument('[dir]', 'where it is mounted, or any path inside')
    .option('-i, --interval <seconds>', 'how often it looks', seconds, 1)
    .option('--once', 'print one screen and leave')
    .option('--json', 'with --once: print JSON')
    .addHelpText('after', HELP)
    .action(top);
}

async function top(directory: string | undefined, { interval, once, json }: TopOptions): Promise<void> {
  if (interval < 0.1 || interval > 60) throw new UserError('the interval is 0.1 to 60 seconds');
  const mount = findMount({ mount: directory });
  await withMount(mount, async (client) => {
    const intervalMs = Math.round(interval * 1000);
    if (json) printJson(await client.call('sample', { intervalMs }));
    else if (once || !process.stdout.isTTY) printOnce(await client.call('sample', { intervalMs }));
    else await new Screen(client, intervalMs).run();
  });
}

function printOnce(sample: TopSample): void {
  const columns = process.stdout.columns || Number.POSITIVE_INFINITY;
  for (const line of frame(sample, { columns, rows: Number.POSITIVE_INFINITY, sort: 'cpu', keys: '' }))
    print(line);
}

/** The live view. The terminal is as it was before whatever ends it. */
class Screen {
  readonly #client: ControlClient;
  readonly #intervalMs: number;
  readonly #leaving = new AbortController();
  #sort: SortKey = 'cpu';
  #sample: TopSample | undefined;

  constructor(client: ControlClient, intervalMs: number) {
    this.#client = client;
    this.#intervalMs = intervalMs;
  }

  async run(): Promise<void> {
    const { stdin, stdout } = process;
    const leave = (): void => this.#leaving.abort();
    const restore = (): void => {
      if (stdin.isTTY) stdin.setRawMode(false);
      stdout.write(LEAVE);
    };
    const draw = (): void => this.#draw();
    const onKey = (text: string): void => this.#press(text);
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    process.on('exit', restore);
    for (const signal of signals) process.on(signal, leave);
    stdout.on('resize', draw);
    stdout.on('error', leave);
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.setEncoding('utf8').on('data', onKey).on('end', leave);
    stdout.write(ENTER);
    try {
      await this.#watch();
    } finally {
      for (const signal of signals) process.off(signal, leave);
      stdout.off('resize', draw).off('error', leave);
      stdin.off('data', onKey).off('end', leave).pause();
      process.off('exit', restore);
      restore();
    }
  }

  async #watch(): Promise<void> {
    const { signal } = this.#leaving;
    const left = new Promise<undefined>((resolve) =>
      signal.addEventListener('abort', () => resolve(undefined)),
    );
    // The first screen comes soon; the others at their time.
    for (let intervalMs = Math.min(300, this.#intervalMs); !signal.aborted; intervalMs = this.#intervalMs) {
      const sample = this.#client.call('sample', { intervalMs }, { timeoutMs: intervalMs + 10_000 });
      const got = await Promise.race([sample, left]);
      if (got === undefined) {
        sample.catch(() => {});
        return;
      }
      this.#sample = got;
      this.#draw();
    }
  }

  #press(text: string): void {
    for (const key of text) {
      if (key === 'q' || key === CTRL_C) this.#leaving.abort();
      else if (Object.hasOwn(SORT_KEYS, key)) {
        this.#sort = SORT_KEYS[key]!;
        this.#draw();
      }
    }
  }

  #draw(): void {
    if (this.#sample === undefined || this.#leaving.signal.aborted) return;
    const { stdout } = process;
    const keys = `q quits · sorted by ${this.#sort}: c CPU, m messages, r requests, w waiting, n name`;
    const size = { columns: stdout.columns || 80, rows: stdout.rows || 24 };
    const lines = frame(this.#sample, { ...size, sort: this.#sort, keys });
    stdout.write(`${HOME}${lines.map((line) => `${line}${CLEAR_LINE}`).join('\r\n')}${CLEAR_BELOW}`);
  }
}
