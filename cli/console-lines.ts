import { setTimeout } from 'node:timers/promises';
import { ControlClient } from './client.ts';
import { ConsoleUsage, findCommand, helpLines, isTailBatch, splitWords } from './console-commands.ts';
import type { RunningMount } from './mounts.ts';
import { print, printJson, say, style, table } from './terminal.ts';

const WATCH_SECONDS = 2;
const CLEAR_SCREEN = '\u001b[H\u001b[2J\u001b[3J';

/** A console on one mount: runs lines as they are typed, given with -c, or piped in. */
export class ConsoleLines {
  readonly #mount: RunningMount;
  readonly #json: boolean;

  constructor(mount: RunningMount, json: boolean) {
    this.#mount = mount;
    this.#json = json;
  }

  /** Prints what a line answers; `signal` ends one that goes on. @throws {UserError} */
  async run(line: string, signal: AbortSignal): Promise<void> {
    const [name, ...words] = splitWords(line);
    if (name === undefined || name.startsWith('#')) return;
    if (name === 'help') this.#help(words[0]);
    else if (name === 'watch') await this.#watch(words, signal);
    else await this.#runCommand(name, words, signal);
  }

  /** Every name that can be completed. */
  names(): Promise<{ actors: readonly string[]; kinds: readonly string[] } | undefined> {
    return this.#with(new AbortController().signal, (client) => client.call('names', {}));
  }

  async #runCommand(name: string, words: readonly string[], signal: AbortSignal): Promise<void> {
    const command = findCommand(name);
    await this.#with(signal, async (client) => {
      if (!command.streams) return this.#print(command.show, await command.ask(client, words, {}));
      let lost = 0;
      const onProgress = (piece: unknown): void => {
        if (this.#json) for (const message of isTailBatch(piece) ? piece.messages : []) printJson(message);
        else this.#print(command.show, piece);
        if (isTailBatch(piece)) lost = warnOfLost(lost, piece.lost);
      };
      await command.ask(client, words, { timeoutMs: Number.POSITIVE_INFINITY, onProgress });
    });
  }

  /** Each command has a connection of its own, so that ending it ends what the mount does for it. */
  async #with<T>(signal: AbortSignal, use: (client: ControlClient) => Promise<T>): Promise<T | undefined> {
    const client = await ControlClient.connect(this.#mount.store);
    const leave = (): void => client.close();
    signal.addEventListener('abort', leave);
    try {
      return await use(client);
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    } finally {
      signal.removeEventListener('abort', leave);
      client.close();
    }
  }

  async #watch(words: readonly string[], signal: AbortSignal): Promise<void> {
    const [first, seconds, ...rest] = words;
    const isTimed = first === '-n';
    const every = isTimed ? Number(seconds) : WATCH_SECONDS;
    const [name, ...its] = isTimed ? rest : words;
    if (name === undefined || !(every >= 0.1 && every <= 3600) || findCommand(name).streams) {
      throw new ConsoleUsage('it is used as: watch [-n SECONDS] COMMAND, with a command that ends by itself');
    }
    while (!signal.aborted) {
      if (process.stdout.isTTY && !this.#json) process.stdout.write(CLEAR_SCREEN);
      if (!this.#json)
        print(style('dim', `${new Date().toISOString()} every ${every} s: ${[name, ...its].join(' ')}`));
      await this.#runCommand(name, its, signal);
      // Rejects when it is ended.
      await setTimeout(every * 1000, undefined, { signal }).catch(() => {});
    }
  }

  #help(name: string | undefined): void {
    const lines = helpLines(name);
    if (this.#json) printJson(lines.map(({ usage, about }) => ({ usage, about })));
    else
      for (const line of table(lines.map(({ usage, about }) => [style('bold', usage), about]))) print(line);
  }

  #print(show: (answer: unknown) => string[], answer: unknown): void {
    if (this.#json) printJson(answer);
    else for (const line of show(answer)) print(line);
  }
}

function warnOfLost(before: number, now: number): number {
  if (now > before) say(`${now - before} messages came too fast and are not shown`);
  return now;
}
