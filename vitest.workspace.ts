import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/**
 * One project a package: `vitest run --project core`. Vitest 4 no longer looks for a file of this name by itself, so
 * vitest.config.ts re-exports it; `tests/workspace.test.ts` fails if that link breaks.
 */
const packages = ['packages/core', 'packages/preprocess', 'packages/hidden-states', 'packages/train', 'apps/worker'];

/** Threads start slowly on a busy two-core machine; a hung test still ends. */
const TEST_TIMEOUT_MS = 60_000;

export default defineConfig({
  test: {
    projects: [
      ...packages.map((folder) => ({
        test: {
          name: basename(folder),
          // Absolute: vitest reads it from the folder that it was started in.
          root: fileURLToPath(new URL(folder, import.meta.url)),
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
