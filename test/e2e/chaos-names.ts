/** Names: create, rename, remove, link. */
import {
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { attempt, type Client, directory, insist, problem, random, settle } from './chaos-calls.ts';

/** What a name is: absent, a directory, or a file or link with this content. */
type Entry = string | undefined;

export class NamesClient implements Client {
  #names = new Map<string, Entry>();
  /** As of the last fsync that succeeded, if nothing was changed since. */
  #isDurable = false;
  #serial = 0;

  prepare(): void {}

  step(): void {
    const [a, b] = [`n${random(40)}`, `n${random(40)}`];
    const what = random(12);
    if (what < 4) this.#create(a);
    else if (what < 6) this.#rename(a, b);
    else if (what < 9) this.#remove(a);
    else if (what < 10) this.#change('mkdir', { [a]: this.#names.get(a) ?? 'dir' }, () => this.#mkdir(a));
    else if (what < 11) this.#sync();
    else if (random(5) === 0) this.verify(false);
  }

  verify(isRemounted: boolean): void {
    if (isRemounted && !this.#isDurable) return;
    const expected = [...this.#names].filter(([, entry]) => entry !== undefined).map(([name]) => name);
    const found = insist('readdir', () => readdirSync(directory));
    if (found.toSorted().join() !== expected.toSorted().join()) {
      problem(`the directory has ${found.toSorted().join()} instead of ${expected.toSorted().join()}`);
    }
    for (const name of expected) {
      const entry = this.#look(name);
      if (entry !== this.#names.get(name)) problem(`${name} is ${entry}, not ${this.#names.get(name)}`);
    }
  }

  #path(name: string): string {
    return join(directory, name);
  }

  #look(name: string): Entry {
    const path = this.#path(name);
    return insist(`look at ${name}`, () => {
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (!stat) return undefined;
      if (stat.isDirectory()) return 'dir';
      return stat.isSymbolicLink() ? `link ${readlinkSync(path)}` : readFileSync(path, 'utf8');
    });
  }

  /** Runs a call after which the names are as in `after`, or, if it fails with EIO, as they were. */
  #change(what: string, after: Record<string, Entry>, call: () => void): void {
    const names = Object.keys(after);
    const before = names.map((name) => this.#names.get(name));
    this.#isDurable = false;
    if (attempt(`${what} ${names.join(' ')}`, call)) {
      for (const name of names) this.#names.set(name, after[name]);
      return;
    }
    settle();
    const found = names.map((name) => this.#look(name));
    const isBefore = found.every((entry, i) => entry === before[i]);
    const isAfter = found.every((entry, i) => entry === after[names[i]!]);
    if (!isBefore && !isAfter) {
      const wanted = names.map((name) => after[name]);
      problem(`${what} ${names.join(' ')} failed, and left [${found}], neither [${before}] nor [${wanted}]`);
    }
    names.forEach((name, i) => {
      this.#names.set(name, found[i]);
    });
  }

  #create(name: string): void {
    if (this.#names.get(name) !== undefined) return;
    const path = this.#path(name);
    const content = `content ${++this.#serial}`;
    if (random(4) === 0) {
      this.#change('symlink', { [name]: `link ${content}` }, () => symlinkSync(content, path));
      return;
    }
    this.#change('create', { [name]: '' }, () => closeSync(openSync(path, 'wx')));
    if (this.#names.get(name) !== '') return;
    this.#change('write', { [name]: content }, () => {
      const descriptor = openSync(path, 'r+');
      try {
        writeSync(descriptor, content);
      } finally {
        closeSync(descriptor);
      }
    });
  }

  #mkdir(name: string): void {
    if (this.#names.get(name) === undefined) mkdirSync(this.#path(name));
  }

  #rename(from: string, to: string): void {
    const entry = this.#names.get(from);
    const other = this.#names.get(to);
    // A directory goes over an empty directory only, and nothing else over a directory.
    if (
      entry === undefined ||
      from === to ||
      (other !== undefined && (entry === 'dir') !== (other === 'dir'))
    )
      return;
    this.#change('rename', { [from]: undefined, [to]: entry }, () =>
      renameSync(this.#path(from), this.#path(to)),
    );
  }

  #remove(name: string): void {
    const entry = this.#names.get(name);
    if (entry === undefined) return;
    const path = this.#path(name);
    this.#change('remove', { [name]: undefined }, () =>
      entry === 'dir' ? rmdirSync(path) : unlinkSync(path),
    );
  }

  #sync(): void {
    const descriptor = insist('open the directory', () => openSync(directory, 'r'));
    if (attempt('fsync of the directory', () => fsyncSync(descriptor))) this.#isDurable = true;
    closeSync(descriptor);
  }
}
