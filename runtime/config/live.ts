/**
 * The values of the configuration that can change while a store is mounted, in shared memory.
 *
 * Roles: main publishes; every thread reads a value where it uses it, through its own view of the configuration.
 * Layout: word 0 counts publications; then one i32 for each live key, in the order of the list of keys, which every
 * thread is given: a number as it is, a choice as its position among the choices.
 *
 * Invariants
 * 1. Every word holds a value that the schema allows, from before the second thread starts.
 * 2. Storing the count publishes the values before it. A reader may see some of them earlier: live keys do not depend
 *    on each other.
 */
import { assert } from '../assert.ts';
import type { Region } from '../memory/arena.ts';
import type { Config } from './schema.ts';

/** Where a live value stands in the configuration. */
export interface LiveKey {
  readonly section: string;
  readonly name: string;
  /** What a stored number stands for; empty for a number. */
  readonly choices: readonly (string | boolean)[];
}

/** Room for 1,023 keys. */
export const LIVE_BYTES = 4096;

const COUNT = 0;
const FIRST = 1;
const WORD_MAX = 0x7fff_ffff;

type Sections = Record<string, Record<string, unknown>>;

/** Makes the live values of `config` those of every thread. By main, alone. */
export function publishLive(region: Region, keys: readonly LiveKey[], config: Config): void {
  assert(keys.length < region.i32.length, 'the live keys fit their region');
  keys.forEach((key, i) => {
    Atomics.store(
      region.i32,
      FIRST + i,
      encode(key, (config as unknown as Sections)[key.section]![key.name]),
    );
  });
  Atomics.add(region.i32, COUNT, 1);
}

function encode({ section, name, choices }: LiveKey, value: unknown): number {
  const word = choices.length > 0 ? choices.indexOf(value as string | boolean) : (value as number);
  assert(Number.isInteger(word) && word >= 0 && word <= WORD_MAX, `${section}.${name} fits a word`);
  return word;
}

/** `config` in which each live key has, whenever it is read, the value that was published last. */
export function liveView(config: Config, region: Region, keys: readonly LiveKey[]): Config {
  const words = region.i32;
  const view: Sections = { ...(config as unknown as Sections) };
  for (const section of new Set(keys.map((key) => key.section))) view[section] = { ...view[section] };
  keys.forEach(({ section, name, choices }, i) => {
    const word = FIRST + i;
    const get =
      choices.length > 0 ? () => choices[Atomics.load(words, word)] : () => Atomics.load(words, word);
    Object.defineProperty(view[section], name, { get, enumerable: true });
  });
  return view as unknown as Config;
}
