import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadTokenizer } from '@scorer/core/tokenizer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPreprocessContext, preprocessTrace, type TraceOptions } from './preprocess-trace.js';
import { probeThinking, thinkingWarnings } from './template-thinking.js';

const DEMO_MODEL = fileURLToPath(new URL('../../../apps/demo/data/model', import.meta.url));

/** How the templates of DeepSeek-R1 and Qwen3-Thinking, of Qwen3 and of Qwen2.5 end. */
const TEMPLATE = `{{ messages[-1].content }}
{%- if kind == 'opens' %}<｜Assistant｜><think>\n{% endif %}
{%- if kind == 'closes' %}<|im_start|>assistant\n<think>\n\n</think>\n\n{% endif %}
{%- if kind == 'leaves' %}<|im_start|>assistant\n{% endif %}`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scorer-thinking-'));
  await cp(DEMO_MODEL, folder, { recursive: true });
  await writeFile(join(folder, 'chat_template.jinja'), TEMPLATE);
});
afterAll(() => rm(folder, { recursive: true }));

async function contextOf(kind: string, options: TraceOptions = {}) {
  return createPreprocessContext(await loadTokenizer(folder), { templateVariables: { kind }, ...options });
}

describe('a template that thinks', () => {
  it.each([
    ['opens', 'opened', '--think-open optional'],
    ['closes', 'closed', '--template-kwargs'],
    ['leaves', 'left', undefined],
  ])('and %s the reasoning is seen and explained', async (kind, thinking, advice) => {
    const context = await contextOf(kind);
    expect(probeThinking(context)).toBe(thinking);
    const warnings = thinkingWarnings(probeThinking(context), context);
    expect(warnings).toEqual(advice ? [expect.stringContaining(advice)] : []);
  });

  it('needs no word once --think-open is optional', async () => {
    const context = await contextOf('opens', { thinkOpen: 'optional' });
    expect(thinkingWarnings(probeThinking(context), context)).toEqual([]);
  });

  it('is known by other tags as well', async () => {
    const context = await contextOf('opens', { thinkTags: { open: '<｜Assistant｜>', close: '</answer>' } });
    expect(probeThinking(context)).toBe('opened');
  });

  it('gives records whose prompt opens the reasoning and whose text goes on in it', async () => {
    const trace = { question: 'Q', response: 'So 5.\n\n</think>5', ground_truth: '5', extracted_answer: '5' };
    expect(preprocessTrace(trace, await contextOf('opens'))).toMatchObject({ reject: { code: 'NO_THINK' } });
    expect(preprocessTrace(trace, await contextOf('opens', { thinkOpen: 'optional' }))).toMatchObject({
      record: { prompt: 'Q<｜Assistant｜><think>\n', forward_text: 'So 5.\n\n' },
    });
  });
});
