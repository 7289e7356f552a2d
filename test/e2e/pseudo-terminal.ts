/** A program in a terminal that a test types into: a pseudo-terminal of the kernel (pty(7)), without an addon. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  createReadStream,
  existsSync,
  openSync,
  type ReadStream,
  writeSync,
} from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import koffi from 'koffi';

const libc = koffi.load(null);
const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)');

const TIOCSPTLCK = 0x40045431;
const TIOCGPTN = 0x80045430;
const TIOCSWINSZ = 0x5414;

/** Why no terminal can be had here, or undefined. */
export const NO_TERMINAL =
  existsSync('/dev/ptmx') && existsSync('/dev/pts') ? undefined : 'there is no /dev/ptmx';

const PATIENCE_MS = 30_000;

export class PseudoTerminal {
  /** Everything the program has written. */
  output = '';
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  readonly #master: number;
  readonly #stream: ReadStream;
  /** Where `expect` goes on reading. */
  #seen = 0;

  constructor(command: string, args: readonly string[], env: Record<string, string> = {}, size = [100, 40]) {
    const flags = constants.O_RDWR | constants.O_NOCTTY;
    this.#master = openSync('/dev/ptmx', flags);
    const number = new Int32Array(1);
    ioctl(this.#master, TIOCSPTLCK, number);
    ioctl(this.#master, TIOCGPTN, number);
    const slave = openSync(`/dev/pts/${number[0]}`, flags);
    this.#setSize(size[0]!, size[1]!);
    this.child = spawn(command, [...args], {
      stdio: [slave, slave, slave],
      env: { ...process.env, TERM: 'xterm', NO_COLOR: '', ...env },
    });
    closeSync(slave);
    this.exited = new Promise((resolve) => this.child.on('exit', resolve));
    this.#stream = createReadStream('', { fd: this.#master, encoding: 'utf8' });
    this.#stream.on('data', (text) => {
      this.output += text;
    });
    // EIO: the last program that had it open has ended.
    this.#stream.on('error', () => {});
  }

  type(text: string): void {
    writeSync(this.#master, text);
  }

  /** Waits until the program has written something that matches, after what was matched last; returns what came until then. */
  async expect(pattern: RegExp): Promise<string> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const rest = stripVTControlCharacters(this.output).slice(this.#seen);
      const match = pattern.exec(rest);
      if (match) {
        this.#seen += match.index + match[0].length;
        return rest.slice(0, match.index + match[0].length);
      }
      if (performance.now() > deadline)
        throw new Error(`${pattern} did not come; there is ${JSON.stringify(rest)}`);
      await new Promise((resume) => setTimeout(resume, 10));
    }
  }

  /** As when its window changes: the program is told. */
  resize(columns: number, rows: number): void {
    this.#setSize(columns, rows);
    this.child.kill('SIGWINCH');
  }

  /** Ends the program, if it has not ended. */
  async close(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
    // Closes the descriptor, too.
    this.#stream.destroy();
  }

  #setSize(columns: number, rows: number): void {
    ioctl(this.#master, TIOCSWINSZ, Uint16Array.of(rows, columns, 0, 0));
  }
}
