import { beforeEach, describe, expect, test } from 'vitest';
import type { Context } from '../../actors/context.ts';
import { FuseHandover } from '../../actors/fuse/handover.ts';
import { REMOVE_FILE, REMOVE_VECTORS } from '../../actors/messages.ts';
import { openPending } from '../../actors/pending.ts';
import {
  COPYING,
  DROPPING,
  holderOf,
  holders,
  keeps,
  nextRoute,
  otherOf,
  phaseOf,
  Route,
  SETTLED,
  settledRoute,
  takesPart,
} from '../../actors/route.ts';
import { shardOf } from '../../actors/topology.ts';
import type { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { take, World } from './world.ts';

const INODES = Array.from({ length: 500 }, (_, i) => i + 1);
const COUNTS = [1, 2, 3, 5, 8, 64];

describe.each(COUNTS.flatMap((from) => COUNTS.filter((to) => to !== from).map((to) => [from, to] as const)))(
  'a move from %i to %i shards',
  (from, to) => {
    const settled = settledRoute(from, 7);
    const copying = nextRoute(settled, to);
    const dropping = nextRoute(copying, to);
    const after = nextRoute(dropping, to);

    test('goes through its phases', () => {
      expect([settled, copying, dropping, after].map(phaseOf)).toEqual([SETTLED, COPYING, DROPPING, SETTLED]);
      expect([settled, copying, dropping, after].map(holders)).toEqual([from, from, to, to]);
      expect(after).toBe(settledRoute(to, 8));
    });

    test('who holds a file, or is to, hears of its changes and takes them; nobody else does', () => {
      for (const ino of INODES) {
        const [before, later] = [shardOf(ino, from), shardOf(ino, to)];
        expect([holderOf(copying, ino), holderOf(dropping, ino)]).toEqual([before, later]);
        expect([otherOf(settled, ino), otherOf(after, ino)]).toEqual([-1, -1]);
        expect(otherOf(copying, ino)).toBe(before === later ? -1 : later);
        expect(otherOf(dropping, ino)).toBe(before === later || before >= to ? -1 : before);
        for (let shard = 0; shard < Math.max(from, to); shard++) {
          expect(keeps(copying, shard, ino)).toBe(shard === before || shard === later);
          expect(keeps(dropping, shard, ino)).toBe(shard === later);
          if (keeps(copying, shard, ino)) expect(takesPart(copying, shard)).toBe(true);
        }
      }
    });
  },
);

describe('a fuse actor that passes changes on', () => {
  let world: World;
  let context: Context;
  let route: Route;
  /** Called once, when the first message of a change has been sent. */
  let meanwhile: () => void;
  beforeEach(() => {
    world = new World({ shards: 3, fuse: 1 });
    context = world.actor('fuse-0');
    route = new Route(context.arena);
    meanwhile = () => {};
  });

  /** The real one, whose outboxes tell when something was sent. */
  function handover(): FuseHandover {
    const spied = {
      ...context,
      outbox(target: string) {
        const outbox = context.outbox(target);
        return new Proxy(outbox, {
          get(_, key) {
            const value = outbox[key as keyof typeof outbox] as unknown;
            if (key !== 'post') return typeof value === 'function' ? value.bind(outbox) : value;
            return () => {
              outbox.post();
              const change = meanwhile;
              meanwhile = () => {};
              change();
            };
          },
        });
      },
    };
    const virtual = { searchableChanged: () => {} } as VirtualTree;
    return new FuseHandover(spied, virtual, openPending(context));
  }

  const CHANGES: [string, (fuse: FuseHandover, ino: number) => void][] = [
    ['a vector', (fuse, ino) => fuse.vectorSet(1, ino, 1, 7, new Uint8Array(16), 0, 16)],
    ['a removal of a vector', (fuse, ino) => fuse.vectorRemoved(1, ino, 1, 7)],
    ['a removal of a file', (fuse, ino) => fuse.removed(ino, 1)],
  ];

  test.each(CHANGES)('tells both shards of %s while files are copied, with one stamp', (_, change) => {
    route.word = nextRoute(settledRoute(1), 3);
    const ino = INODES.find((one) => shardOf(one, 3) === 2)!;
    change(handover(), ino);
    const [first] = take(world.actor('shard-0'));
    const [second] = take(world.actor('shard-2'));
    expect([...first!.u8]).toEqual([...second!.u8]);
    expect(take(world.actor('shard-1'))).toEqual([]);
  });

  test.each(CHANGES)('tells those of now as well of %s that was sent by the route of before', (_, change) => {
    route.word = settledRoute(1);
    const ino = INODES.find((one) => shardOf(one, 3) === 2)!;
    meanwhile = () => {
      route.word = nextRoute(route.word, 3);
    };
    change(handover(), ino);
    expect(take(world.actor('shard-0')).length).toBe(2);
    expect(take(world.actor('shard-2')).length).toBe(1);
  });

  test('tells one shard when no files move', () => {
    route.word = settledRoute(3);
    const ino = INODES.find((one) => shardOf(one, 3) === 1)!;
    const fuse = handover();
    fuse.vectorRemoved(1, ino, 1, 7);
    fuse.removed(ino, 1);
    expect(take(world.actor('shard-1')).map(({ kind }) => kind)).toEqual([REMOVE_VECTORS, REMOVE_FILE]);
  });
});
