import { defineConfig } from 'vitest/config';

/** The tests run the compiled output, mounts a bundle of it: what is tested is what ships, and worker threads need no loader. */
export default defineConfig({
  test: {
    globalSetup: ['dist/test/announce-skips.js', 'dist/test/make-bundle.js'],
    include: ['dist/test/**/*.test.js'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
