import { expect, test } from 'vitest';
import { checkProfile, MIXABLE, measureProfile } from './profile.js';

test('a worker of another kind is refused with what differs, unless that is allowed', async () => {
  const own = await measureProfile('1234', { device: 'cpu', threads: 2 });
  expect(own).toMatchObject({ device: 'cpu', threads: 2, runtime: expect.stringMatching(/^onnxruntime-node \d/) });
  expect(checkProfile(own, { ...own }, [])).toEqual([]);

  const other = { ...own, threads: 4, processor: 'another' };
  expect(() => checkProfile(own, other, [])).toThrow(
    expect.objectContaining({
      code: 'WORKER_DIFFERS',
      kind: 'input',
      where: expect.stringContaining("its threads: 2, the run's: 4"),
      hint: expect.stringContaining('--allow-mixed processor,threads'),
    }),
  );
  expect(() => checkProfile(own, other, ['threads'])).toThrow(expect.objectContaining({ code: 'WORKER_DIFFERS' }));
  expect(checkProfile(own, other, ['threads', 'processor'])).toHaveLength(2);
  expect(() => checkProfile({ ...own, model: '5678' }, own, [...MIXABLE])).toThrow(
    expect.objectContaining({ code: 'WORKER_DIFFERS', where: "its model: 5678, the run's: 1234" }),
  );
});
