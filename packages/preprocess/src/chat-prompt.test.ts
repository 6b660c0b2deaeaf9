import { fileURLToPath } from 'node:url';
import { loadTokenizer } from '@scorer/core/tokenizer';
import { describe, expect, it } from 'vitest';
import { createPromptRenderer, DEFAULT_SYSTEM_PROMPT } from './chat-prompt.js';

const DEMO_MODEL = fileURLToPath(new URL('../../../apps/demo/data/model', import.meta.url));

describe('the chat prompt', () => {
  it('holds system message, question and the opening of the answer', async () => {
    const render = createPromptRenderer(await loadTokenizer(DEMO_MODEL), {
      systemPrompt: DEFAULT_SYSTEM_PROMPT,
      templateVariables: {},
    });
    expect(render('Why?')).toBe(
      '<|im_start|>system\nPlease reason step by step, and put your final answer within \\boxed{}<|im_end|>\n' +
        '<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n',
    );
  });

  it('has no system message where that is null, and another for each question', async () => {
    const render = createPromptRenderer(await loadTokenizer(DEMO_MODEL), { systemPrompt: null, templateVariables: {} });
    const prompts = ['One?', 'One?', 'Two?'].map(render);
    expect(prompts[0]).toBe('<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\n');
    expect(prompts[1]).toBe(prompts[0]);
    expect(prompts[2]).toBe('<|im_start|>user\nTwo?<|im_end|>\n<|im_start|>assistant\n');
  });
});
