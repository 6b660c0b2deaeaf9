import { expect, test } from 'vitest';
import { estimatePromptTokens } from './prompt-tokens.js';

const PROMPT = 'What is 1/2?';
const REASONING = '<think>It is a half, or 0.5.';
const TEXTS = { full_forward_text: PROMPT + REASONING, original_response: `${REASONING}</think>0.5` };
const steps = (...ends: [position: number, region: number][]) => ({
  positions: Int32Array.from(ends, ([position]) => position),
  regions: Uint8Array.from(ends, ([, region]) => region),
});

test('the prompt has the share of the tokens that it has of the text before </think>', () => {
  const share = PROMPT.length / (PROMPT.length + REASONING.length);
  expect(estimatePromptTokens(TEXTS, 1000, steps([500, 1]))).toBe(Math.round(1000 * share));
});

test('it ends after its own last step and no later than the first step of the reasoning', () => {
  expect(estimatePromptTokens(TEXTS, 1000, steps([420, 0], [500, 1]))).toBe(421);
  expect(estimatePromptTokens(TEXTS, 1000, steps([120, 1]))).toBe(120);
});

test('texts that are not of one trace tell nothing', () => {
  expect(estimatePromptTokens({ ...TEXTS, original_response: 'other' }, 1000, steps())).toBeUndefined();
  expect(estimatePromptTokens({ full_forward_text: '', original_response: '' }, 10, steps())).toBeUndefined();
});
