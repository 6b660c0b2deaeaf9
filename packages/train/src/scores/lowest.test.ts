import fc from 'fast-check';
import { expect, test } from 'vitest';
import { meanOfLowest } from './lowest.js';

test('the mean of the lowest values is that of the first after sorting, ties and all', () => {
  const values = fc.array(fc.oneof(fc.integer({ min: 0, max: 3 }), fc.double({ min: -1, max: 1, noNaN: true })), {
    minLength: 1,
    maxLength: 60,
  });
  fc.assert(
    fc.property(values, fc.nat(), (list, pick) => {
      const count = 1 + (pick % list.length);
      const lowest = Float64Array.from(list).sort().subarray(0, count);
      const mean = lowest.reduce((sum, value) => sum + value, 0) / count;
      expect(meanOfLowest(Float64Array.from(list), count)).toBeCloseTo(mean, 12);
    }),
    { numRuns: 1000 },
  );
});
