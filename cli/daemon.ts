/** The one way from the command line into the actors. */
import type { MountHandle as Handle, MountRequest } from '../actors/main/daemon.ts';

export type { MountRequest };
export type MountHandle = Omit<Handle, 'supervisor'>;

/** Rejects with a UserError for expected failures. */
export type RunMount = (request: MountRequest) => Promise<MountHandle>;

/** The actors' side is loaded when it is wanted: it is most of the program, and a search does not need it. */
export async function loadDaemon(): Promise<RunMount> {
  const { runMount } = await import('../actors/main/daemon.ts');
  return runMount;
}
