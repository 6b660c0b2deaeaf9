import { defineConfig } from 'vitest/config';

/** The second tier: what installs packages, starts other Nodes or runs the whole pipeline. One file at a time. */
export default defineConfig({
  test: {
    include: ['tests/long/*.test.ts'],
    fileParallelism: false,
    testTimeout: 10 * 60_000,
    hookTimeout: 10 * 60_000,
  },
});
