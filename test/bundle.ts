/** The bundle that tests start processes and threads from (make-bundle.ts). */
import { fileURLToPath } from 'node:url';

export const BUNDLE = new URL('./bundle/', import.meta.url);
export const VEXFS = fileURLToPath(new URL('vexfs.js', BUNDLE));
export const THREAD = new URL('thread.js', BUNDLE);
/** test/actors/daemon-process.ts */
export const DAEMON = fileURLToPath(new URL('daemon-process.js', BUNDLE));
