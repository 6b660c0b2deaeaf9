import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readHfConfig } from '../model/hf-config.js';
import { shareOfWork } from './pass-work.js';

const published: Record<string, object> = JSON.parse(
  readFileSync(fileURLToPath(new URL('../model/fixtures/published-configs.json', import.meta.url)), 'utf8'),
);
const specOf = (name: string, changes: object = {}) =>
  readHfConfig(JSON.stringify({ ...published[name], ...changes }), 'config.json').spec;

const LLAMA = specOf('meta-llama/Llama-3.2-1B-Instruct');
const whole = { done: 16, last: 16 };

test('without a head the work is the layers alone, equal ones in equal parts', () => {
  expect(shareOfWork(LLAMA, { tokens: 1000, predictions: 0 }, { done: 4, last: 16 })).toBeCloseTo(1 / 4, 12);
  expect(shareOfWork(LLAMA, { tokens: 1000, predictions: 0 }, whole)).toBe(1);
});

test('the head has its share of the parameters, less of it where attention has much to do', () => {
  // 16 layers of 60.8 million weights; the head 128,256 × 2,048.
  const byParameters = (16 * 60.8) / (16 * 60.8 + 262.7);
  expect(shareOfWork(LLAMA, { tokens: 20, predictions: 20 }, whole)).toBeCloseTo(byParameters, 3);
  expect(shareOfWork(LLAMA, { tokens: 27_000, predictions: 27_000 }, whole)).toBeGreaterThan(byParameters + 0.05);
  expect(shareOfWork(LLAMA, { tokens: 20, predictions: 10 }, whole)).toBeGreaterThan(byParameters);
});

test('of experts those count that a token takes, of a window the tokens in it', () => {
  const moe = specOf('Qwen/Qwen3-30B-A3B', { decoder_sparse_step: 48 });
  const share = (done: number): number => shareOfWork(moe, { tokens: 1, predictions: 0 }, { done, last: 48 });
  // The last layer has 8 experts of 768 and a router, the others MLPs of 6,144: as many weights, but for the router.
  expect((1 - share(47)) / (share(47) - share(46))).toBeCloseTo(1 + 128 / (2 * 32 * 128 + 2 * 4 * 128 + 3 * 6144), 5);

  const sliding = { ...LLAMA, attentionWindows: LLAMA.attentionWindows.map(() => 9) };
  const long = { tokens: 100_000, predictions: 100_000 };
  expect(shareOfWork(sliding, long, whole)).toBeLessThan(shareOfWork(LLAMA, long, whole));
});
