import { randomStream } from '@scorer/core/random';

/**
 * Random orders of a question's traces. The first N of one are N traces drawn without replacement; so the samples of
 * 2, 4, 8, … traces are nested, and figures for different N differ by N and not by luck. Seed and question alone decide.
 * @param count T, traces of the question
 * @returns one order after the other, [T], each valid until the next
 */
export function* randomOrders(
  question: string,
  count: number,
  { subsets, seed }: { subsets: number; seed: number },
): Generator<Uint32Array, void, undefined> {
  const random = randomStream(seed, `subsets of ${question}`);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let subset = 0; subset < subsets; subset++) {
    for (let i = 0; i < count - 1; i++) {
      const j = i + random.below(count - i);
      const swapped = order[i]!;
      order[i] = order[j]!;
      order[j] = swapped;
    }
    yield order;
  }
}
