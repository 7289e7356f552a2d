/** A filesystem to be measured. */
export interface Peer {
  readonly name: string;
  /** Why it cannot run here, with the command that would help; undefined when it can. May install what is its own. */
  missing(): Promise<string | undefined>;
  /** Mounts inside `workspace`, an empty directory on the host filesystem. */
  start(workspace: string): Promise<RunningPeer>;
}

export interface RunningPeer {
  /** Where the load runs. */
  readonly directory: string;
  /** Name, version and anything that a reader must know to judge the figures. */
  readonly description: string;
  /** Of the server; undefined when there is none. */
  readonly pid: number | undefined;
  /** False once the server has died or its mount is gone. */
  readonly alive: boolean;
  /** What went wrong, if anything did. */
  stop(): Promise<string | undefined>;
  /** Frees callers of a hung mount. */
  abort(): void;
}

/** The repository, as seen from the compiled file: dist/bench/fuse/peers/peer.js. */
export const PROJECT = new URL('../../../../', import.meta.url).pathname;
/** The command as it is installed. */
export const CLI = `${PROJECT}dist/bundle/vexfs.js`;
