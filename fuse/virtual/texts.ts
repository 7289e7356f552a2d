/** The texts of the virtual tree, made when they are looked up. Implemented by whoever runs the process. */
export interface VirtualText {
  /** Names of the actors, '' for one that is not there; an actor's place in the list never changes while mounted. */
  list(directory: 'actors'): readonly string[];
  /** When the list changed last, ms since the epoch: the kernel caches listings by that time. */
  changedAt(directory: 'actors'): number;
  /** Whether there is `query`: not where the kernel collects writes, and is the one to say how long a file is. */
  readonly hasQueries: boolean;
  /** Content of `stats`, `config`, `actors/NAME/{state,mailbox,messages,trace}`; undefined = there is none. */
  text(path: string): string | undefined;
}
