import { expect, test } from 'vitest';
import { resolveConfig } from 'vitest/node';

test('the projects of vitest.workspace.ts are the ones that vitest runs', async () => {
  const { vitestConfig } = await resolveConfig({ root: new URL('..', import.meta.url).pathname });
  const names = vitestConfig.projects?.map((project) => (typeof project === 'object' ? project.test?.name : project));
  expect(names).toEqual(['core', 'preprocess', 'hidden-states', 'train', 'worker', 'repository']);
});
