import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';

const PROGRAM = fileURLToPath(new URL('./foreground-process.js', import.meta.url));

class Run {
  readonly child: ChildProcess;
  out = '';
  error = '';
  readonly #ended: Promise<number | null>;

  constructor(behaviour: string) {
    this.child = spawn(process.execPath, [PROGRAM, behaviour], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Apart from the terminal that whoever runs the tests may have.
      detached: true,
    });
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.out += text;
    });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.error += text;
    });
    this.#ended = new Promise((resolve) => this.child.on('close', resolve));
  }

  async wrote(text: string): Promise<void> {
    while (!(this.out + this.error).includes(text)) {
      if (this.child.exitCode !== null)
        throw new Error(`it ended before it wrote "${text}": ${this.out}${this.error}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  ended(): Promise<number | null> {
    return this.#ended;
  }
}

let run: Run;
afterEach(() => void run.child.kill('SIGKILL'));

test('Ctrl-C says that it unmounts, unmounts once and exits 0', async () => {
  run = new Run('serves');
  await run.wrote('ready');
  run.child.kill('SIGINT');
  expect(await run.ended()).toBe(0);
  expect(run.out).toBe('ready\nstop unmount\n');
  expect(run.error).toBe('vexfs: unmounting /mnt\n');
});

test('Ctrl-C on a busy mount names who holds it and goes on serving; the second detaches', async () => {
  run = new Run('busy');
  await run.wrote('ready');
  run.child.kill('SIGINT');
  await run.wrote('press Ctrl-C again');
  expect(run.error).toContain('vexfs: /mnt is in use by 17 (vim) (here: press Ctrl-C again)');
  await new Promise((resolve) => setTimeout(resolve, 350));
  run.child.kill('SIGINT');
  expect(await run.ended()).toBe(0);
  expect(run.out).toBe('ready\nstop unmount\nstop lazy\n');
});

test('a third Ctrl-C ends a detached mount that somebody still uses', async () => {
  run = new Run('held');
  await run.wrote('ready');
  for (const reaction of ['press Ctrl-C again', 'is detached', 'under its users']) {
    run.child.kill('SIGINT');
    await run.wrote(reaction);
    await new Promise((resolve) => setTimeout(resolve, 350));
  }
  expect(await run.ended()).toBe(0);
  expect(run.out).toBe('ready\nstop unmount\nstop lazy\nstop lazy\n');
});

test('a Ctrl-C that arrives twice at once counts as one', async () => {
  run = new Run('interrupted twice');
  await run.wrote('press Ctrl-C again');
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(run.out).toBe('ready\nstop unmount\n');
});

test('SIGTERM on a busy mount detaches at once, since nobody is there to ask again', async () => {
  run = new Run('busy');
  await run.wrote('ready');
  run.child.kill('SIGTERM');
  expect(await run.ended()).toBe(0);
  expect(run.out).toBe('ready\nstop unmount\nstop lazy\n');
});

test('SIGHUP to a process without a terminal reads the configuration again and says what came of it', async () => {
  run = new Run('serves');
  await run.wrote('ready');
  run.child.kill('SIGHUP');
  await run.wrote('log.level: "info" → "debug", applied');
  run.child.kill('SIGTERM');
  expect(await run.ended()).toBe(0);
  expect(run.out).toBe('ready\nstop unmount\n');
});

test('SIGHUP with a mistake in the configuration says so and goes on serving', async () => {
  run = new Run('mistaken');
  await run.wrote('ready');
  run.child.kill('SIGHUP');
  await run.wrote('vexfs.toml:2:1: workers.fuse is 0');
  expect(run.error).toContain('nothing changes');
  run.child.kill('SIGTERM');
  expect(await run.ended()).toBe(0);
});

test('Ctrl-C while mounting is obeyed when the mount is complete, and nothing is shown', async () => {
  run = new Run('slow');
  await run.wrote('mounting');
  run.child.kill('SIGINT');
  expect(await run.ended()).toBe(0);
  expect(run.out).toBe('mounting\nstop unmount\n');
});

test('a command that is done stops its mount by itself', async () => {
  run = new Run('once');
  expect(await run.ended()).toBe(0);
  expect(run.out).toBe('ready\nstop unmount\n');
});

test('a failure after mounting takes the mount away', async () => {
  run = new Run('fails');
  expect(await run.ended()).toBe(1);
  expect(run.out).toBe('ready\nstop lazy\nstop lazy\nthe show failed\n');
});

test('a mount that is refused is an error', async () => {
  run = new Run('refuses');
  expect(await run.ended()).toBe(1);
  expect(run.out).toBe('the store is locked\n');
});
