/** Toy stores at which a test of io's actors can begin. */
import { objectPath } from '../../fuse/objects/object-path.ts';
import { ToyStore } from './toy-store.ts';

/** Calls since the mark, by name. */
export function callsSince(store: ToyStore, mark: number): string[] {
  return store.disk.log.slice(mark).map((call) => call.split(' ')[0]!);
}

/** A store whose own first record is durable, so that what follows is the test's doing. */
export function settled(others = 0): ToyStore {
  const store = new ToyStore({ others });
  store.flush(0);
  store.run();
  store.done.length = 0;
  return store;
}

/** A store with an object whose last bytes the log has as well, and an fsync that was answered. */
export function withLogged(others: number): { store: ToyStore; path: string } {
  const store = settled(others);
  store.operate(4);
  store.sync();
  store.run();
  // Every second operation on an object that there is is one that the log vouches for.
  while (store.state.operations % 2 === 0) store.operate(3);
  store.operate(4);
  return { store, path: objectPath(store.state.objects()[0]!.id) };
}

/** A store in which the file of an object of so many bytes is to be deleted. */
export function withDroppedObject(bytes: number): { store: ToyStore; path: string } {
  const store = settled();
  store.operate(2);
  store.sync();
  store.run();
  const path = objectPath(store.state.objects()[0]!.id);
  const descriptor = store.disk.open(path, 'write');
  store.disk.truncate(descriptor, bytes);
  store.disk.close(descriptor);
  store.operate(2);
  return { store, path };
}

/** A store with a fuse actor that commits, and a segment that io-0 has opened. */
export function withFuse(): ToyStore {
  const store = new ToyStore({ fuse: true });
  store.operate(3);
  store.sync();
  store.run();
  store.replies.length = 0;
  return store;
}
