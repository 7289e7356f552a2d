/** Build step: what is installed, `dist/bundle`. Run as `node dist/cli/build-bundle.js` after the compiler. */
import { fileURLToPath } from 'node:url';
import { ENTRIES, makeBundle } from './bundle.ts';

const { modules, files } = await makeBundle(ENTRIES, fileURLToPath(new URL('../bundle', import.meta.url)));
process.stdout.write(`bundle: ${modules} modules in ${files} files\n`);
