import { readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ChatMessage, loadTokenizer, type ScorerTokenizer } from './index.js';

const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
const DEMO = fileURLToPath(new URL('../../../../apps/demo/data/model', import.meta.url));

const FOLDERS = { demo: DEMO, metaspace: fixture('metaspace'), 'half-characters': fixture('half-characters') } as const;

/** Made by tools/oracles/tokenizer.py with transformers. */
interface Expected {
  encodings: { text: string; ids: number[]; decoded: string; pieces: string[] }[];
  blank_line_ids: number[];
  newline_ids: number[];
  prompt: { messages: ChatMessage[]; variables: Record<string, unknown>; text: string | null };
}
const expected: Record<keyof typeof FOLDERS, Expected> = JSON.parse(readFileSync(fixture('expected.json'), 'utf8'));

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'scorer-tokenizer-'));
});
afterAll(() => rm(scratch, { recursive: true }));

/** A copy of the demo's tokenizer with some files replaced; undefined leaves a file out. */
async function folderWith(name: string, files: Record<string, unknown>): Promise<string> {
  const folder = join(scratch, name);
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) await cp(join(DEMO, file), join(folder, file));
  for (const [file, content] of Object.entries(files)) {
    if (content === undefined) await rm(join(folder, file));
    else await writeFile(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return folder;
}

async function demoJson(file: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(DEMO, file), 'utf8'));
}

describe.each(Object.entries(FOLDERS))('the %s tokenizer', (name, folder) => {
  const reference = expected[name as keyof typeof FOLDERS];
  let tokenizer: ScorerTokenizer;
  beforeAll(async () => {
    tokenizer = await loadTokenizer(folder);
  });

  it.each(reference.encodings)('encodes and decodes $text as transformers does', ({ text, ids, decoded, pieces }) => {
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.decode(ids)).toBe(decoded);
    expect(ids.map((id) => tokenizer.decode([id]))).toEqual(pieces);
  });

  it('knows which tokens hold a blank line, and which a newline', () => {
    expect([...tokenizer.tokensWith('\n\n')].sort(ascending)).toEqual(reference.blank_line_ids);
    expect([...tokenizer.tokensWith('\n')].sort(ascending)).toEqual(reference.newline_ids);
  });
});

describe('renderPrompt', () => {
  it.each(['demo', 'metaspace'] as const)("fills in the %s model's template as transformers does", async (name) => {
    const { messages, variables, text } = expected[name].prompt;
    const tokenizer = await loadTokenizer(FOLDERS[name]);
    expect(tokenizer.renderPrompt(messages, { templateVariables: variables })).toBe(text);
  });
});

describe('loadTokenizer', () => {
  it('decodes to NFC only where the tokenizer normalises', async () => {
    const [demo, half] = await Promise.all([loadTokenizer(DEMO), loadTokenizer(FOLDERS['half-characters'])]);
    const decomposed = 'e\u0301';
    expect(demo.normalises).toBe('NFC');
    expect(demo.decode(demo.encode(decomposed))).toBe('\u00e9');
    expect(half.normalises).toBe('none');
    expect(half.decode(half.encode(decomposed))).toBe(decomposed);
  });

  it('takes the path of tokenizer.json as well as its folder', async () => {
    const [byFolder, byFile] = await Promise.all([loadTokenizer(DEMO), loadTokenizer(join(DEMO, 'tokenizer.json'))]);
    expect(byFile.fingerprint).toBe(byFolder.fingerprint);
  });

  it('finds added tokens that stand in the config alone', async () => {
    const config = await demoJson('tokenizer_config.json');
    const folder = await folderWith('config-token', {
      'tokenizer_config.json': { ...config, added_tokens_decoder: { 1005: { content: '<answer>', special: false } } },
    });
    const tokenizer = await loadTokenizer(folder);
    expect(tokenizer.encode('<answer>\n')).toEqual([1005, ...tokenizer.encode('\n')]);
    expect(tokenizer.decode([1005])).toBe('<answer>');
  });

  it('prefers chat_template.jinja to the config, and has another fingerprint with it', async () => {
    const folder = await folderWith('jinja', { 'chat_template.jinja': 'file: {{ messages[0].content }}\n' });
    const [tokenizer, demo] = await Promise.all([loadTokenizer(folder), loadTokenizer(DEMO)]);
    expect(tokenizer.renderPrompt([{ role: 'user', content: 'Hi' }])).toBe('file: Hi');
    expect(tokenizer.fingerprint).not.toBe(demo.fingerprint);
  });

  it('knows a template that reads the clock', async () => {
    const folder = await folderWith('dated', { 'chat_template.jinja': "{{ strftime_now('%Y') }}" });
    const [dated, demo] = await Promise.all([loadTokenizer(folder), loadTokenizer(DEMO)]);
    expect(dated.renderPrompt([])).toBe(String(new Date().getFullYear()));
    expect([dated.datesPrompts, demo.datesPrompts]).toEqual([true, false]);
  });

  it('reads chat_template.json where nothing else has a template', async () => {
    const { chat_template: _, ...config } = await demoJson('tokenizer_config.json');
    const folder = await folderWith('processor', {
      'tokenizer_config.json': config,
      'chat_template.json': { chat_template: 'json: {{ messages[0].content }}' },
    });
    expect((await loadTokenizer(folder)).renderPrompt([{ role: 'user', content: 'Hi' }])).toBe('json: Hi');
  });

  it('says what a template refuses, and that there is none', async () => {
    const refusing = await folderWith('refusing', {
      'chat_template.jinja': "{{ raise_exception('System role not supported') }}",
    });
    const without = await folderWith('no-template', { 'tokenizer_config.json': {} });
    const messages = [{ role: 'user', content: 'Hi' }];
    const [refuses, lacks] = await Promise.all([loadTokenizer(refusing), loadTokenizer(without)]);
    expect(() => refuses.renderPrompt(messages)).toThrow(
      expect.objectContaining({
        code: 'CHAT_TEMPLATE_FAILED',
        message: expect.stringContaining('System role not supported'),
      }),
    );
    expect(() => lacks.renderPrompt(messages)).toThrow(expect.objectContaining({ code: 'CHAT_TEMPLATE_MISSING' }));
    expect(lacks.encode('Hi')).not.toEqual([]);
  });

  it('says that a folder has no tokenizer', async () => {
    await expect(loadTokenizer(join(scratch, 'nowhere'))).rejects.toMatchObject({ code: 'TOKENIZER_NOT_FOUND' });
    const folder = await folderWith('config-only', { 'tokenizer.json': undefined });
    await expect(loadTokenizer(folder)).rejects.toMatchObject({ code: 'TOKENIZER_NOT_FOUND' });
  });

  const damages: [string, (json: Record<string, unknown>) => unknown][] = [
    ['is not JSON', () => '{"model": '],
    ['is no object', () => []],
    ['has no model', ({ model: _, ...json }) => json],
    ['has an id that is no integer', (json) => ({ ...json, model: { type: 'BPE', vocab: { a: 0.5 }, merges: [] } })],
    ['has an id past the limit', (json) => ({ ...json, model: { type: 'BPE', vocab: { a: 2 ** 31 }, merges: [] } })],
    ['has a merge that is no pair', (json) => ({ ...json, model: { type: 'BPE', vocab: { a: 0 }, merges: [['a']] } })],
    ['has no merges', (json) => ({ ...json, model: { type: 'BPE', vocab: { a: 0 } } })],
    ['has an unknown pre-tokenizer', (json) => ({ ...json, pre_tokenizer: { type: 'Mystery' } })],
    ['has an added token without text', (json) => ({ ...json, added_tokens: [{ id: 1, content: '' }] })],
  ];
  it.each(damages)('refuses a tokenizer.json that %s', async (what, damage) => {
    const folder = await folderWith(what, { 'tokenizer.json': damage(await demoJson('tokenizer.json')) });
    await expect(loadTokenizer(folder)).rejects.toMatchObject({ code: 'TOKENIZER_INVALID', kind: 'input' });
  });
});

function ascending(a: number, b: number): number {
  return a - b;
}
