import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ChatMessage, loadTokenizer, type ScorerTokenizer } from '@scorer/core/tokenizer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPreprocessContext } from './preprocess-trace.js';
import { createStepSplitter } from './step-splitter.js';
import { probeThinking } from './template-thinking.js';

const DEMO_MODEL = fileURLToPath(new URL('../../../apps/demo/data/model', import.meta.url));
const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
const modelsOf = (name: string): string => join(createRequire(import.meta.url).resolve(name), '../../models');

/** Made by tools/oracles/real_models.py with transformers and tokenizers; digests are SHA-256. */
interface Expected {
  tokens: Record<string, string>;
  chats: { messages: ChatMessage[]; variables: Record<string, unknown> }[];
  /** Digest of each chat's prompt, by template. */
  prompts: Record<string, string[]>;
  /** Package of each template that is not among the fixtures. */
  installed: Record<string, string>;
  texts: string[];
  families: Record<
    string,
    {
      package: string;
      blank_line_ids: { count: number; digest: string };
      texts: { ids: string; positions: number[]; segments: string }[];
    }
  >;
}
const expected: Expected = JSON.parse(readFileSync(fixture('real-models.json'), 'utf8'));

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'scorer-real-models-'));
});
afterAll(() => rm(scratch, { recursive: true }));

/** The demo's tokenizer with the chat template of another model. */
async function modelWith(template: string): Promise<ScorerTokenizer> {
  const folder = join(scratch, template);
  await mkdir(folder);
  await cp(join(DEMO_MODEL, 'tokenizer.json'), join(folder, 'tokenizer.json'));
  const config = JSON.parse(await readFile(join(DEMO_MODEL, 'tokenizer_config.json'), 'utf8'));
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify({ ...config, ...expected.tokens }));
  await writeFile(join(folder, 'chat_template.jinja'), await sourceOf(template));
  return loadTokenizer(folder);
}

async function sourceOf(template: string): Promise<string> {
  const installed = expected.installed[template];
  if (installed === undefined) return readFile(fixture(`chat-templates/${template}.jinja`), 'utf8');
  return JSON.parse(await readFile(join(modelsOf(installed), 'tokenizer_config.json'), 'utf8')).chat_template;
}

describe('real chat templates', () => {
  it.each(Object.entries(expected.prompts))('%s renders as transformers does, byte for byte', async (name, digests) => {
    const tokenizer = await modelWith(name);
    const prompts = expected.chats.map(({ messages, variables }) =>
      tokenizer.renderPrompt(messages, { templateVariables: variables }),
    );
    expect(prompts.map(sha256)).toEqual(digests);
    const thinking = probeThinking(createPreprocessContext(tokenizer));
    const opens = ['deepseek_r1_distill', 'deepseekv3', 'qwen3_5_think'].includes(name);
    expect(thinking).toBe(opens ? 'opened' : 'left');
  });
});

describe.each(Object.entries(expected.families))('the real tokenizer of %s', (_, family) => {
  let tokenizer: ScorerTokenizer;
  beforeAll(async () => {
    tokenizer = await loadTokenizer(modelsOf(family.package));
  });

  it.each(expected.texts.map((text, i) => ({ text, outcome: family.texts[i]! })))(
    'makes ids, positions and segments of $text as the Rust library does',
    ({ text, outcome }) => {
      expect(sha256(pythonList(tokenizer.encode(text)))).toBe(outcome.ids);
      const steps = createStepSplitter(tokenizer, '\n\n')(text);
      expect(steps?.positions).toEqual(outcome.positions);
      expect(sha256(steps!.segments.join('\0'))).toBe(outcome.segments);
    },
  );

  it('has the same tokens that hold a blank line', () => {
    const ids = [...tokenizer.tokensWith('\n\n')].sort((a, b) => a - b);
    expect({ count: ids.length, digest: sha256(pythonList(ids)) }).toEqual(family.blank_line_ids);
  });
});

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function pythonList(ids: readonly number[]): string {
  return `[${ids.join(', ')}]`;
}
