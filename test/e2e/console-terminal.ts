/** The console and top in a terminal: what is typed, and what is on the screen. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CLI, type Mounted } from './mounted.ts';
import { PseudoTerminal } from './pseudo-terminal.ts';

/** `busy`: a mount that is at work, and a directory for what the console keeps. */
export function testsInTerminal(busy: () => { readonly mounted: Mounted; readonly home: string }): void {
  const open = (args: string[], size?: [number, number]): PseudoTerminal =>
    new PseudoTerminal(process.execPath, [CLI, ...args], { XDG_STATE_HOME: busy().home }, size);

  test('every command is typed and answered, Tab completes, Ctrl-C ends a tail and not the console', async () => {
    const terminal = open(['console', busy().mounted.dir]);
    try {
      await terminal.expect(/console of .*"help" lists the commands[\s\S]*vexfs> /);
      const ask = async (line: string, answer: RegExp): Promise<void> => {
        terminal.type(`${line}\r`);
        await terminal.expect(answer);
        await terminal.expect(/vexfs> $/);
      };
      await ask('help', /kill NAME[\s\S]*watch/);
      await ask('actors', /ACTOR +STATE[\s\S]*fuse-1/);
      await ask('status', /mounted at/);
      await ask('inspect io-0', /heapUsed/);
      await ask('mailbox io-0', /FROM +WAITING/);
      await ask('trace', /REQUEST +OPCODE/);
      await ask('rings', /journal → io-0/);
      await ask('pool', /slabUsed/);
      await ask('audit', /blocks looked at/);
      await ask('locks', /namespace/);
      await ask('shards', /shard-1 +native/);
      await ask('steal', /SHARD +QUEUED[\s\S]*shard-1/);
      await ask('placement', /ACTOR +CPU +NODE[\s\S]*fuse-1 +wherever/);
      await ask('reload', /nothing has changed/);
      await ask('log debug stats', /stats +debug +info/);
      await ask('log info stats', /stats +info +debug/);
      await ask('pause stats', /stats is paused/);
      await ask('step stats', /stats took 0/);
      await ask('resume stats', /stats goes on/);
      await ask('checkpoint', /checkpoint/);
      await ask('dump', /actors\.json/);
      await ask('restart nobody', /no actor "nobody"/);
      await ask('kill main', /main is what answers here/);
      await ask('actrs', /did you mean actors\?/);
      // What comes in one piece is taken for pasted, and not completed.
      for (const key of ['mailb', '\t', 'ind', '\t', '\r']) {
        terminal.type(key);
        await pause(100);
      }
      await terminal.expect(/waiting for indexer[\s\S]*vexfs> $/);
      terminal.type('tail io-0 SYNC\r');
      await terminal.expect(/SYNC 1\d B unique=\d+/);
      terminal.type('\u0003');
      await terminal.expect(/vexfs> $/);
      terminal.type('watch -n 0.2 locks\r');
      await terminal.expect(/every 0\.2 s: locks[\s\S]*every 0\.2 s: locks/);
      terminal.type('\u0003');
      await terminal.expect(/vexfs> $/);
      terminal.type('half a line\u0003');
      await terminal.expect(/vexfs> $/);
      await ask('actors', /fuse-1/);
      terminal.type('quit\r');
      expect(await terminal.exited).toBe(0);
    } finally {
      await terminal.close();
    }
    const history = join(busy().home, 'vexfs/console_history');
    expect(statSync(history).mode & 0o777).toBe(0o600);
    expect(readFileSync(history, 'utf8')).toContain('inspect io-0\n');
  });

  test('an earlier command is brought back by the arrow key, also of another time, and Ctrl-D leaves', async () => {
    const terminal = open(['console', busy().mounted.dir]);
    try {
      await terminal.expect(/vexfs> $/);
      terminal.type('locks\r');
      await terminal.expect(/namespace[\s\S]*vexfs> $/);
      terminal.type('\u001b[A\r');
      await terminal.expect(/namespace[\s\S]*vexfs> $/);
      terminal.type('\u0004');
      expect(await terminal.exited).toBe(0);
    } finally {
      await terminal.close();
    }
    const again = open(['console', busy().mounted.dir]);
    try {
      await again.expect(/vexfs> $/);
      again.type('\u001b[A\r');
      await again.expect(/namespace[\s\S]*vexfs> $/);
      again.type('\u0004');
      expect(await again.exited).toBe(0);
    } finally {
      await again.close();
    }
  });

  test('top fills the screen, follows its size, sorts, and leaves the terminal as it was', async () => {
    const terminal = open(['top', busy().mounted.dir, '-i', '0.2'], [90, 30]);
    try {
      await terminal.expect(/serving for[\s\S]*ACTOR +STATE[\s\S]*sorted by cpu/);
      expect(terminal.output.startsWith('\u001b[?1049h')).toBe(true);
      terminal.type('n');
      const byName = await terminal.expect(/sorted by name/);
      expect(byName.indexOf('fuse-0')).toBeLessThan(byName.indexOf('stats'));
      terminal.resize(40, 8);
      await terminal.expect(/sorted by name: c CPU, m mes/);
      const small = (await terminal.expect(/sorted by name/)).split('\n');
      expect(small.length).toBeLessThanOrEqual(8);
      terminal.type('q');
      expect(await terminal.exited).toBe(0);
      expect(terminal.output.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
    } finally {
      await terminal.close();
    }
  });

  test('top that is ended from outside leaves the terminal as it was', async () => {
    const terminal = open(['top', busy().mounted.dir, '-i', '0.2']);
    try {
      await terminal.expect(/sorted by cpu/);
      terminal.child.kill('SIGTERM');
      await terminal.exited;
      for (let i = 0; i < 100 && !terminal.output.endsWith('\u001b[?1049l'); i++) await pause(20);
      expect(terminal.output.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
    } finally {
      await terminal.close();
    }
  });
}
