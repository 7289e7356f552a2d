/** The one way from the command line into the actors. */
export interface MountRequest {
  /** Absolute. Created if absent. */
  readonly store: string;
  /** Absolute. */
  readonly directory: string;
  /** As given with -o: "ro,allow_other". */
  readonly options: string[];
  /** Absolute. */
  readonly config?: string;
  /** "section.key=value". */
  readonly set: string[];
  /** The mount can be used. */
  onReady(): void;
  /** Something worth saying, such as a recovery. */
  onNotice(text: string): void;
}

/** "lazy" detaches a busy mount, which ends when its last user lets go; "now" ends it under its users. */
export type StopReason = 'unmount' | 'lazy' | 'now';

export interface MountHandle {
  /**
   * Unmounts, makes everything durable and ends; `finished` then settles. "unmount" rejects with a UserError naming
   * who holds the mount if it is busy.
   */
  stop(reason: StopReason): Promise<void>;
  /** The exit code. */
  readonly finished: Promise<number>;
}

/** Rejects with a UserError for expected failures. */
export type RunMount = (request: MountRequest) => Promise<MountHandle>;

/** The actors' side is loaded when it is wanted: it is most of the program, and a search does not need it. */
export async function loadDaemon(): Promise<RunMount> {
  const module = (await import(new URL('../actors/main/daemon.js', import.meta.url).href)) as {
    runMount: RunMount;
  };
  return module.runMount;
}
