import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/**
 * One project a package: `vitest run --project core`. Vitest 4 no longer looks for a file of this name by itself, so
 * vitest.config.ts re-exports it; `tests/workspace.test.ts` fails if that link breaks.
 */
const packages = ['core', 'preprocess', 'hidden-states', 'train'];

/** Threads start slowly on a busy two-core machine; a hung test still ends. */
const TEST_TIMEOUT_MS = 60_000;

export default defineConfig({
  test: {
    projects: [
      ...packages.map((name) => ({
        test: {
          name,
          // Absolute: vitest reads it from the folder that it was started in.
          root: fileURLToPath(new URL(`packages/${name}`, import.meta.url)),
          include: ['src/**/*.test.ts'],
          testTimeout: TEST_TIMEOUT_MS,
        },
      })),
      {
        test: {
          name: 'repository',
          root: fileURLToPath(new URL('.', import.meta.url)),
          include: ['tests/*.test.ts'],
          testTimeout: TEST_TIMEOUT_MS,
        },
      },
    ],
  },
});
